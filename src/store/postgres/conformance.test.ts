import { storeConformance } from '../conformance.ts'
import { openFresh } from './testing.ts'

storeConformance('postgres', openFresh)
