import { type Seal, SealError } from '../base/seal.ts'
import { TransferFailure } from '../wire/agent/failure.ts'
import type { Endpoint, Place } from '../wire/agent/work.ts'
import { farPathOf, isSpace, spaceIn, urlOf } from './locate.ts'
import type { TransferStore } from './port.ts'
import { endpointOf } from './remote.ts'
import { type Remote, type RemoteSecrets, remoteSecretsPurpose, type Transfer } from './transfer.ts'

/** Where agents find files, with the credentials for it: for the agent that is to go there, and nobody else. */
export interface Places {
  /** Both sides of a transfer. Throws TransferFailure where its remote is gone or does not open. */
  ofTransfer(transfer: Transfer): Promise<{ readonly source: Place; readonly destination: Place }>
  /** A path at a remote, or with none: a path of the agent's machine, or a space. Throws TransferFailure as above. */
  at(remoteId: string | null, path: string): Promise<Place>
  /** What people and events call paths that were found where `location` is. Throws TransferFailure where the remote is gone. */
  urlsAt(remoteId: string | null, location: string): Promise<(path: string) => string>
}

export function createPlaces({ store, seal }: { store: Pick<TransferStore, 'findRemote'>; seal: Seal }): Places {
  async function remoteOf(id: string): Promise<Remote> {
    const remote = await store.findRemote(id)
    if (remote !== undefined) return remote
    throw new TransferFailure('REMOTE_UNAVAILABLE', `The remote ${id} is gone.`)
  }

  function openedEndpoint(remote: Remote): Endpoint {
    try {
      return endpointOf(remote, openSecrets(remote, seal))
    } catch (cause) {
      if (!(cause instanceof SealError)) throw cause
      const message = `The secrets of the remote "${remote.name}" do not open: they were sealed under another master key. Give them again.`
      throw new TransferFailure('REMOTE_UNAVAILABLE', message, { cause })
    }
  }

  return {
    async ofTransfer(transfer) {
      const { remoteId, direction, sourceUrl, destinationPath } = transfer
      if (remoteId === null) return { source: nearPlace(sourceUrl), destination: nearPlace(destinationPath) }
      const remote = await remoteOf(remoteId)
      const far = { endpoint: openedEndpoint(remote), path: farPathOf(transfer, remote) }
      return direction === 'pull'
        ? { source: far, destination: nearPlace(destinationPath) }
        : { source: nearPlace(sourceUrl), destination: far }
    },
    async at(remoteId, path) {
      return remoteId === null ? nearPlace(path) : { endpoint: openedEndpoint(await remoteOf(remoteId)), path }
    },
    async urlsAt(remoteId, location) {
      if (remoteId !== null) {
        const remote = await remoteOf(remoteId)
        return (path) => urlOf(remote, path)
      }
      if (!isSpace(location)) return (path) => path
      const { account, user } = spaceIn('path', location)
      return (path) => `space://${account}/${user}${path}`
    },
  }
}

/** Throws SealError. */
export function openSecrets(remote: Remote, seal: Seal): RemoteSecrets {
  return remote.sealedSecrets === null ? {} : JSON.parse(seal.open(remote.sealedSecrets, remoteSecretsPurpose(remote.id)))
}

/** On the agent's machine, or in a space of this server. */
function nearPlace(location: string): Place {
  if (!isSpace(location)) return { endpoint: { protocol: 'local' }, path: location }
  const { account, user, path } = spaceIn('path', location)
  return { endpoint: { protocol: 'space', account, user }, path }
}
