/** Why a delivery is not to be trusted. Each has a sentence that says what was found and what to do, in the error's message. */
export type VerifyProblem =
  /** There is no signature: the webhook has no secret, or a proxy drops the header. */
  | 'signature_missing'
  /** The headers or the signature are those of another dialect. */
  | 'wrong_dialect'
  /** A signed header other than the signature is absent. */
  | 'timestamp_missing'
  | 'id_missing'
  /** The signature is right; only its time is not: outside the tolerance, or in another unit. */
  | 'timestamp_too_old'
  | 'timestamp_too_new'
  | 'timestamp_in_milliseconds'
  | 'timestamp_malformed'
  /** What is given as secret cannot be one: empty, not base64 after its prefix, a private key, a number. */
  | 'secret_malformed'
  /** The call is wrong, whatever was delivered: no dialect or one that there is not, no headers. */
  | 'options_malformed'
  | 'headers_malformed'
  /** A public key is given for a shared-secret signature, or the other way round. */
  | 'wrong_key'
  /** The secret is right but read in another way: a line end too many, decoded or not. */
  | 'secret_encoding'
  /** Signed with one of `oldSecrets`. */
  | 'old_secret'
  /** An object was passed where the bytes of the body are needed. */
  | 'body_parsed'
  /** The body was parsed and written again; as it was sent it verifies. */
  | 'body_reserialised'
  /** The body has not the length that the sender declared. */
  | 'body_changed'
  /** The digest is right but written in another way: hex for base64, upper case, no prefix. */
  | 'signature_encoding'
  /** No signature of this dialect can look like this: another length, other characters. */
  | 'signature_malformed'
  /** None of the above: another secret, or the body was changed. */
  | 'signature_mismatch'
  /** The signature is right, but the body is not the event that was asked for. */
  | 'body_not_event'
  /** CloudEvents in binary mode: the signature is right, but `ce-id` is not the id that was signed. */
  | 'id_mismatch'

/**
 * A delivery that is not to be trusted. Log the message, answer 401 without it: it is for the receiver's owner, not for
 * whoever sent the request. It never holds a secret.
 */
export class VerifyError extends Error {
  override readonly name = 'VerifyError'
  readonly code: VerifyProblem
  /** For `timestamp_*`: seconds from the time of the attempt to now; negative where it lies ahead. */
  readonly offSeconds: number | undefined

  constructor(code: VerifyProblem, message: string, offSeconds?: number) {
    super(message)
    this.code = code
    this.offSeconds = offSeconds
  }
}
