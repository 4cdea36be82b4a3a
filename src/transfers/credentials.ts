/** Before the host of a url, wherever in a text it stands: `sftp://user:password@`, or without its scheme. */
const USERINFO = /(^|[\s"'(<]|[a-z][a-z0-9+.-]*:)\/\/[^\s/?#@]*(?:@[^\s/?#@]*)*@/gi

const WEB_URL = /\bhttps?:\/\/[^\s"'<>]+/gi

/** Members of a query that let whoever has the url in: presigned urls of S3, Azure and Google, and what others call the same. */
const SECRET_MEMBER =
  /([?&](?:[\w.~%-]*(?:signature|token|secret|password|passwd|credential|api[-_]?key|accesskey(?:id)?)|sig|pwd|auth)=)[^&#\s"'<>]+/gi

/** A location, or what somebody says went wrong, as everybody may read it. */
export function withoutCredentials(text: string): string {
  return text.replace(USERINFO, '$1//').replace(WEB_URL, (url) => url.replace(SECRET_MEMBER, '$1***'))
}
