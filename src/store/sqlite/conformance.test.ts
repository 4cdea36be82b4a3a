import { storeConformance } from '../conformance.ts'
import { openFresh } from './open.fixture.ts'

storeConformance('sqlite', openFresh)
