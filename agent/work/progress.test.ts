import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { movingClock } from '../../src/base/testing.ts'
import type { WorkReport } from '../../src/wire/agent/work.ts'
import { Progress } from './progress.ts'

type Running = Extract<WorkReport, { state: 'running' }>

function recorded() {
  const time = movingClock()
  const said: (Running & { at: number })[] = []
  const report = async (one: WorkReport) => void said.push({ ...(one as Running), at: time.clock.now() })
  return { ...time, said, report }
}

test('a report is said after a second or a tenth, never twice of the same, and never of the end', async () => {
  const steps = fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 300 }), ms: fc.integer({ min: 0, max: 1500 }) }), {
    maxLength: 60,
  })
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const { clock, moveTo, said, report } = recorded()
      const size = all.reduce((sum, { bytes }) => sum + bytes, 0)
      const progress = new Progress(clock, size, 0, report)
      for (const { bytes, ms } of all) {
        await moveTo(clock.now() + ms)
        progress.add(bytes)
      }
      await progress.settled()
      assert.equal(progress.moved, size)
      let before = { at: 0, bytesTransferred: 0 }
      for (const one of said) {
        const tenth = (bytes: number) => Math.floor((bytes / size) * 10)
        assert.ok(one.bytesTransferred > before.bytesTransferred && one.bytesTransferred < size)
        assert.ok(one.at - before.at >= 1000 || tenth(one.bytesTransferred) > tenth(before.bytesTransferred))
        before = one
      }
    }),
    { numRuns: 50 },
  )
})

test('speed is that of the last seconds, not of the whole', async () => {
  const { clock, moveTo, said, report } = recorded()
  const progress = new Progress(clock, 10_000_000, 0, report)
  for (let second = 1; second <= 60; second++) {
    await moveTo(second * 1000)
    progress.add(second <= 30 ? 100_000 : 1000)
  }
  assert.ok(Math.abs(said[29]!.speed - 100_000) < 1000, `${said[29]!.speed}`)
  assert.ok(Math.abs(said.at(-1)!.speed - 1000) < 100, `${said.at(-1)!.speed}`)
  assert.ok(Math.abs(progress.averageSpeed - 3_030_000 / 60) < 100)
})

test('while a report is unanswered none is sent', async () => {
  const { clock, moveTo } = recorded()
  const answers: (() => void)[] = []
  const progress = new Progress(clock, 100, 0, () => new Promise((resolve) => answers.push(resolve)))
  for (let second = 1; second <= 5; second++) {
    await moveTo(second * 1000)
    progress.add(10)
  }
  assert.equal(answers.length, 1)
  answers[0]!()
  await progress.settled()
  progress.add(10)
  assert.equal(answers.length, 2)
})

test('what an earlier attempt left counts for the position, not as moved', () => {
  const { clock, report } = recorded()
  const progress = new Progress(clock, 100, 60, report)
  progress.add(40)
  assert.deepEqual([progress.position, progress.moved], [100, 40])
})
