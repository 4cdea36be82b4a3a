import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { checkSchedule, createSchedule } from './schedule.ts'

const nights: { name: string; schedule: string; timeZone: string; from: string; until: string; moments: string[] }[] = [
  {
    name: 'a night without 02:30 runs once, after the gap',
    ...{ schedule: '30 2 * * *', timeZone: 'Europe/Berlin', from: '2026-03-28T12:00:00Z', until: '2026-03-30T12:00:00Z' },
    moments: ['2026-03-29T01:00:00Z', '2026-03-30T00:30:00Z'],
  },
  {
    name: 'a night with two 02:30 runs once, the first time',
    ...{ schedule: '30 2 * * *', timeZone: 'Europe/Berlin', from: '2026-10-24T12:00:00Z', until: '2026-10-26T12:00:00Z' },
    moments: ['2026-10-25T00:30:00Z', '2026-10-26T01:30:00Z'],
  },
  {
    name: 'the same in New York',
    ...{ schedule: '30 2 * * *', timeZone: 'America/New_York', from: '2026-03-07T12:00:00Z', until: '2026-03-09T12:00:00Z' },
    moments: ['2026-03-08T07:00:00Z', '2026-03-09T06:30:00Z'],
  },
  {
    name: 'a gap of half an hour (Lord Howe)',
    ...{ schedule: '15 2 * * *', timeZone: 'Australia/Lord_Howe', from: '2026-10-03T12:00:00Z', until: '2026-10-04T20:00:00Z' },
    moments: ['2026-10-03T15:30:00Z', '2026-10-04T15:15:00Z'],
  },
  {
    name: 'what runs every hour runs in the doubled one twice',
    ...{ schedule: '0 * * * *', timeZone: 'Europe/Berlin', from: '2026-10-24T23:30:00Z', until: '2026-10-25T02:00:00Z' },
    moments: ['2026-10-25T00:00:00Z', '2026-10-25T01:00:00Z', '2026-10-25T02:00:00Z'],
  },
  {
    name: 'a weekday by name, 7 for Sunday',
    ...{ schedule: '0 2 * * SUN', timeZone: 'UTC', from: '2026-01-01T00:00:00Z', until: '2026-01-12T00:00:00Z' },
    moments: ['2026-01-04T02:00:00Z', '2026-01-11T02:00:00Z'],
  },
  {
    name: 'a leap day, years away',
    ...{ schedule: '0 0 29 2 *', timeZone: 'UTC', from: '2026-01-01T00:00:00Z', until: '2030-01-01T00:00:00Z' },
    moments: ['2028-02-29T00:00:00Z'],
  },
]

for (const { name, schedule, timeZone, from, until, moments } of nights) {
  test(name, () => {
    const found = createSchedule(schedule, timeZone).between(Date.parse(from), Date.parse(until), 100)
    assert.deepEqual(
      found,
      moments.map((moment) => Date.parse(moment)),
    )
  })
}

test('no more moments than asked for', () => {
  assert.equal(createSchedule('* * * * *', 'UTC').between(0, 1e12, 5).length, 5)
})

const refused = [
  { schedule: '', says: /schedule '' is no cron expression of five fields.*0 of the five/ },
  { schedule: '0 2 * *', says: /it has 4 of the five fields/ },
  { schedule: '0 0 2 * * *', says: /it has 6 of the five fields/ },
  { schedule: '@daily', says: /it has 1 of the five fields/ },
  { schedule: '61 2 * * *', says: /61/ },
  { schedule: '0 25 * * *', says: /25/ },
  { schedule: 'a b c d e', says: /no cron expression/ },
  { schedule: '0 0 30 2 *', says: /never comes/ },
  { schedule: `0 2 * * ${'1,'.repeat(200)}1`, says: /no cron expression/ },
]
for (const { schedule, says } of refused) {
  test(`refused: ${schedule.slice(0, 20)}`, () => {
    assert.throws(() => checkSchedule(schedule, 'UTC', 0), { code: 'invalid', field: 'schedule', message: says })
  })
}

test('a time zone that is none is refused by name', () => {
  assert.throws(() => createSchedule('0 2 * * *', 'Mars/Olympus'), {
    code: 'invalid',
    field: 'timeZone',
    message: /Mars\/Olympus/,
  })
})

test('every moment is later than the one before, and a daily job has one each local day', () => {
  const day = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2035, 0, 1) })
  const zones = fc.constantFrom(
    'Europe/Berlin',
    'America/New_York',
    'Asia/Kolkata',
    'Australia/Lord_Howe',
    'America/Sao_Paulo',
    'UTC',
  )
  fc.assert(
    fc.property(day, zones, fc.nat(59), fc.nat(23), (from, timeZone, minute, hour) => {
      const moments = createSchedule(`${minute} ${hour} * * *`, timeZone).between(from, from + 40 * 86_400_000, 30)
      const dates = moments.map((at) => Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone).toPlainDate())
      for (const [index, date] of dates.slice(1).entries()) assert.equal(dates[index]!.until(date).total('days'), 1)
    }),
    { numRuns: 200 },
  )
})
