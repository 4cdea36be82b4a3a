import { nearest } from '../../src/base/nearest.ts'
import { CommandError } from '../command.ts'

/** Where events go. */
export interface Route {
  /** An event type, a group such as `transfer.*`, or `*`. */
  readonly pattern: string
  readonly url: URL
}

/** Each has its own lane and line on the screen. */
export const ROUTES_MAX = 32

/** `--route 'transfer.*=http://localhost:3000/transfers' …` in their order, then `--forward` for the rest. */
export function parseRoutes(routes: readonly string[], forward: string | undefined, types: readonly string[]): Route[] {
  if (routes.length > ROUTES_MAX) throw new CommandError(`--route may be given ${ROUTES_MAX} times, not ${routes.length}`)
  const parsed = routes.map((text) => {
    const equals = text.indexOf('=')
    if (equals < 0)
      throw new CommandError(`--route is TYPES=URL, such as 'transfer.*=http://localhost:3000/transfers', not ${text}`)
    const pattern = text.slice(0, equals).trim()
    checkPattern('--route', pattern, types)
    return { pattern, url: parseUrl('--route', text.slice(equals + 1).trim()) }
  })
  return forward === undefined ? parsed : [...parsed, { pattern: '*', url: parseUrl('--forward', forward.trim()) }]
}

/** The first that matches. */
export function routeOf(routes: readonly Route[], type: string): Route | undefined {
  return routes.find(({ pattern }) => covers(pattern, type))
}

/** Refuses what is no event type and no group of them, with the one most like it. */
export function checkPattern(option: string, pattern: string, types: readonly string[]): void {
  const known = [...types, ...new Set(types.flatMap(groupsOf)), '*']
  if (known.includes(pattern)) return
  const like = nearest(pattern.toLowerCase().slice(0, 64), known)
  const hint = like === undefined ? 'docs/events.md lists them' : `did you mean ${like}?`
  throw new CommandError(`${option}: ${pattern === '' ? 'nothing' : pattern} is no event type or group; ${hint}`)
}

function covers(pattern: string, type: string): boolean {
  return pattern === '*' || pattern === type || (pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1)))
}

/** `agent.certificate.expired` is in `agent.*` and `agent.certificate.*`. */
function groupsOf(type: string): string[] {
  const parts = type.split('.')
  return parts.slice(1).map((_, index) => `${parts.slice(0, index + 1).join('.')}.*`)
}

function parseUrl(option: string, text: string): URL {
  const isWhole = /^https?:\/\//i.test(text)
  const url = URL.parse(isWhole ? text : `http://${/^\d+(\/|$)/.test(text) ? `localhost:${text}` : text}`)
  if (url === null || /^[a-z]+:\/\//i.test(text) !== isWhole)
    throw new CommandError(`${option} takes an http or https url, such as http://localhost:3000/hook, not ${text || 'nothing'}`)
  if (!isWhole) throw new CommandError(`${option}: ${text} is no url; did you mean ${url.href}?`)
  if (url.username !== '' || url.password !== '')
    throw new CommandError(`${option}: a url with a password in it shows it to everybody; send a header instead`)
  return url
}
