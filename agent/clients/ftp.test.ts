import { kinds } from '../../test/peers/ftp-vsftpd.ts'
import { testClient } from './client.conformance.ts'

for (const kind of kinds) testClient(kind)
