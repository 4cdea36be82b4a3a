import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { CertificateAuthority, ServerCertificate } from '../agents/authority.ts'
import { RENEW_BEFORE_MS } from '../api/agents/tls.ts'
import type { Clock } from '../base/clock.ts'
import { writePrivately } from '../base/private-file.ts'
import { SERVER_NAME } from '../wire/agent/work.ts'

/**
 * The authority as the agent port sees it: what was issued to this server is kept beside its SSH keys, so that a restart has it at once instead of loading what
 * issues certificates, which is a fifth of a second of being away (measured). What does not count any more, or does not read, is issued anew.
 */
export function keepingCertificate(
  authority: Pick<CertificateAuthority, 'certificate' | 'issueToServer'>,
  file: string,
  clock: Pick<Clock, 'now'>,
): Pick<CertificateAuthority, 'certificate' | 'issueToServer'> {
  const { certificate } = authority
  return {
    certificate,
    async issueToServer() {
      const kept = readIfGood(await readFile(file, 'utf8').catch(() => ''), certificate, clock.now())
      if (kept !== undefined) return kept
      const issued = await authority.issueToServer()
      await writePrivately(file, issued.key + issued.certificate)
      return issued
    },
  }
}

/** Key and certificate in PEM; undefined for what is not ours, not of this authority, or soon at its end. */
function readIfGood(text: string, authority: string, now: number): ServerCertificate | undefined {
  const begin = text.indexOf('-----BEGIN CERTIFICATE-----')
  const [key, certificate] = [text.slice(0, begin), text.slice(begin)]
  try {
    const read = new X509Certificate(certificate)
    const expiresAt = read.validToDate.getTime()
    const isOurs = read.checkPrivateKey(createPrivateKey(key)) && read.verify(new X509Certificate(authority).publicKey)
    const counts = read.validFromDate.getTime() <= now && expiresAt - now > RENEW_BEFORE_MS
    return isOurs && counts && read.checkHost(SERVER_NAME) !== undefined ? { key, certificate, expiresAt } : undefined
  } catch {
    return undefined
  }
}
