import { isIP } from 'node:net'
import type { TransferWork, Work, WorkReport } from '../src/wire/agent/work.ts'

/** What an agent tells whoever runs it: a person at a terminal, a log. Never with credentials. */
export type AgentNews =
  | { readonly type: 'connected'; readonly name: string; readonly server: string }
  | { readonly type: 'disconnected'; readonly why: string; readonly retryMs: number }
  | { readonly type: 'contact_lost'; readonly stopped: number }
  | { readonly type: 'renewed'; readonly endsAt: string }
  | { readonly type: 'renewal_failed'; readonly why: string; readonly endsAt: string }
  | { readonly type: 'work'; readonly lease: string; readonly what: string }
  | { readonly type: 'report'; readonly lease: string; readonly what: string; readonly report: WorkReport }
  | { readonly type: 'dropped'; readonly lease: string; readonly what: string; readonly why: string }

export type Tell = (news: AgentNews) => void

/** Work in a few words: `pull sftp://files.example.com/out/a.csv → /data/a.csv`. */
export function describeWork(work: Work): string {
  if (work.kind === 'list') return `list ${describePlace(work.source)}`
  if (work.kind === 'discard') return `discard what is left for ${describePlace(work.destination)}`
  return `${work.direction} ${describePlace(work.source)} → ${describePlace(work.destination)}`
}

/** Without credentials and without the query of a url, which may hold some. */
function describePlace({ endpoint, path }: TransferWork['source']): string {
  switch (endpoint.protocol) {
    case 'local':
      return path
    case 'space':
      return `space://${endpoint.account}/${endpoint.user}${path}`
    case 's3':
      return `s3://${endpoint.bucket}${path}`
    default:
      return `${endpoint.protocol}://${isIP(endpoint.host) === 6 ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}${path.split('?')[0]}`
  }
}

/** What one reads of it on a line. */
export function newsLine(news: AgentNews): string {
  switch (news.type) {
    case 'connected':
      return `connected to ${news.server} as ${news.name}`
    case 'disconnected':
      return `not connected: ${news.why}; trying again${news.retryMs === 0 ? '' : ` in ${Math.ceil(news.retryMs / 1000)} s`}`
    case 'contact_lost':
      return `the server has not answered for a minute: ${news.stopped} pieces of work stopped, others may do them`
    case 'renewed':
      return `certificate renewed, it counts until ${news.endsAt}`
    case 'renewal_failed':
      return `the certificate was not renewed (${news.why}); it ends at ${news.endsAt}`
    case 'work':
      return `begun: ${news.what}`
    case 'report':
      return `${reportLine(news.report)}: ${news.what}`
    case 'dropped':
      return `stopped (${news.why}): ${news.what}`
  }
}

function reportLine(report: WorkReport): string {
  switch (report.state) {
    case 'running':
      return `${report.size ? Math.floor((100 * report.bytesTransferred) / report.size) : '?'} %`
    case 'completed':
      return `completed, ${report.size} bytes`
    case 'failed':
      return `failed, ${report.errorCode}, ${report.error}`
    case 'listed':
      return `${report.files.length} files found`
    default:
      return report.state.replace('_', ' ')
  }
}
