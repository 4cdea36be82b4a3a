import { testMatrix } from './matrix.ts'

await testMatrix((module) => !/^(s?ftp|http|s3)/.test(module))
