import { testMatrix } from './matrix.ts'

await testMatrix((module) => !/^s?ftp/.test(module))
