import { testMatrix } from './matrix.ts'

await testMatrix((module) => module.startsWith('ftp'))
