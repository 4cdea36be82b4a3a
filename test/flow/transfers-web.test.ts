import { testMatrix } from './matrix.ts'

await testMatrix((module) => /^(http|s3)/.test(module))
