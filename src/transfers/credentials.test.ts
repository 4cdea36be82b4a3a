import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withoutCredentials } from './credentials.ts'

const CASES: readonly [given: string, shown: string][] = [
  ['sftp://me:s3cret@ftp.example.com/a@b.csv', 'sftp://ftp.example.com/a@b.csv'],
  ['sftp://me:a@b@ftp.example.com/a', 'sftp://ftp.example.com/a'],
  ['SFTP://me@ftp.example.com', 'SFTP://ftp.example.com'],
  [' sftp://u:p@h/a', ' sftp://h/a'],
  ['//u:p@h/a', '//h/a'],
  ['Authentication failed: sftp://bob:hunter2@h/x (and ftp://u:p@i/)', 'Authentication failed: sftp://h/x (and ftp://i/)'],
  ['https://h/a?token=SECRET&id=7', 'https://h/a?token=***&id=7'],
  [
    'https://b.s3.example/k?X-Amz-Credential=AK%2F1&X-Amz-Date=2026&X-Amz-Signature=ff#x',
    'https://b.s3.example/k?X-Amz-Credential=***&X-Amz-Date=2026&X-Amz-Signature=***#x',
  ],
  ['https://h/a?sv=2026&sig=abc%3D', 'https://h/a?sv=2026&sig=***'],
  ['https://h/a?access_token=x "quoted"', 'https://h/a?access_token=*** "quoted"'],
  ['/in/a@b//c@d.csv', '/in/a@b//c@d.csv'],
  ['https://h/download?file=a@b.csv&assignature=1', 'https://h/download?file=a@b.csv&assignature=***'],
  ['sftp://h/a?token=1', 'sftp://h/a?token=1'],
  ['/out/a?token=1', '/out/a?token=1'],
]
for (const [given, shown] of CASES) {
  test(`as everybody may read it: ${given}`, () => assert.equal(withoutCredentials(given), shown))
}

test('a hostile text is looked through in one go', () => {
  for (const piece of ['//', '@', '//a@', 'a:', '?token=', '?a%', 'http://', 'http://a?token='])
    assert.ok(withoutCredentials(piece.repeat(100_000)).length <= 300_000 + piece.length * 100_000)
})
