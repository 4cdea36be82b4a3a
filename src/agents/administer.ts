import type { Caller } from '../audit/caller.ts'
import type { Page, PageRequest } from '../base/page.ts'
import type { Agent, Certificate, EnrolmentToken } from './agent.ts'

/** What administrators do with agents. Whatever is not there throws `not_found`; every change has its audit entry. */
export interface AgentAdmin {
  list(page: PageRequest): Promise<Page<Agent>>
  find(id: string): Promise<Agent>
  certificates(id: string): Promise<readonly Certificate[]>
  /** What is absent stays as it is; the agent hears of it at once. */
  update(id: string, changes: AgentChanges, caller: Caller): Promise<Agent>
  /** Ends its stream; it may come back at once. False: it has none. */
  disconnect(id: string, caller: Caller): Promise<boolean>
  /** Its key and certificates count no more, its stream ends, what it was doing is over. Revoking twice is harmless. */
  revoke(id: string, caller: Caller): Promise<Agent>

  /** The token is in no other answer. */
  createToken(input: EnrolmentTokenInput, caller: Caller): Promise<{ enrolmentToken: EnrolmentToken; token: string }>
  listTokens(page: PageRequest): Promise<Page<EnrolmentToken>>
  revokeToken(id: string, caller: Caller): Promise<void>
}

export interface AgentChanges {
  readonly name?: string
  readonly concurrency?: number
}

export interface EnrolmentTokenInput {
  /** Defaults to the id. */
  readonly name?: string
  readonly usesMax?: number
  readonly expiresInSeconds?: number
}
