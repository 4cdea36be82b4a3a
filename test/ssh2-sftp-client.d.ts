/** What the tests use of this package, which ships no types. */
declare module 'ssh2-sftp-client' {
  import type { Client, ConnectConfig } from 'ssh2'

  export default class SftpClient {
    constructor(name?: string)
    /** The SSH connection below. */
    readonly client: Client & NodeJS.EventEmitter
    connect(config: ConnectConfig): Promise<unknown>
    list(path: string): Promise<{ name: string; type: 'd' | '-' | 'l'; size: number }[]>
    stat(path: string): Promise<{ size: number; mode: number; isDirectory: boolean; isFile: boolean }>
    exists(path: string): Promise<false | 'd' | '-' | 'l'>
    get(path: string): Promise<Buffer>
    put(content: Buffer | string, path: string, options?: object): Promise<string>
    append(content: Buffer, path: string): Promise<string>
    fastPut(local: string, remote: string, options?: object): Promise<string>
    fastGet(remote: string, local: string, options?: object): Promise<string>
    mkdir(path: string, recursive?: boolean): Promise<string>
    rmdir(path: string, recursive?: boolean): Promise<string>
    delete(path: string): Promise<string>
    rename(from: string, to: string): Promise<string>
    posixRename(from: string, to: string): Promise<string>
    chmod(path: string, mode: number): Promise<string>
    end(): Promise<boolean>
  }
}
