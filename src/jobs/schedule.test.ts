import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isoSeconds } from '../base/clock.ts'
import { DAY_MS, MINUTE_MS } from '../base/units.ts'
import { checkSchedule, createSchedule, type Schedule } from './schedule.ts'

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
    name: 'however every hour is written',
    ...{
      schedule: '30 0-11,12-23/1 * * *',
      timeZone: 'Europe/Berlin',
      from: '2026-03-29T00:00:00Z',
      until: '2026-03-29T02:00:00Z',
    },
    moments: ['2026-03-29T00:30:00Z', '2026-03-29T01:30:00Z'],
  },
  ...['30 2,14 * * *', '30 2-23/12 * * *'].flatMap((schedule) => [
    {
      name: `${schedule}: a gap is no reason to leave one of two times out`,
      ...{ schedule, timeZone: 'Europe/Berlin', from: '2026-03-28T20:00:00Z', until: '2026-03-29T20:00:00Z' },
      moments: ['2026-03-29T01:00:00Z', '2026-03-29T12:30:00Z'],
    },
    {
      name: `${schedule}: no time of several runs twice in a night`,
      ...{ schedule, timeZone: 'Europe/Berlin', from: '2026-10-24T20:00:00Z', until: '2026-10-25T20:00:00Z' },
      moments: ['2026-10-25T00:30:00Z', '2026-10-25T13:30:00Z'],
    },
  ]),
  ...['0,30 2 * * *', '*/30 2 * * *'].flatMap((schedule) => [
    {
      name: `${schedule}: what lies in a gap is one run`,
      ...{ schedule, timeZone: 'Europe/Berlin', from: '2026-03-28T20:00:00Z', until: '2026-03-29T20:00:00Z' },
      moments: ['2026-03-29T01:00:00Z'],
    },
    {
      name: `${schedule}: each once in the longer night`,
      ...{ schedule, timeZone: 'Europe/Berlin', from: '2026-10-24T20:00:00Z', until: '2026-10-25T20:00:00Z' },
      moments: ['2026-10-25T00:00:00Z', '2026-10-25T00:30:00Z'],
    },
  ]),
  {
    name: 'a run after the gap is the one that is due there anyway',
    ...{ schedule: '0,30 2-3 * * *', timeZone: 'Europe/Berlin', from: '2026-03-28T20:00:00Z', until: '2026-03-29T20:00:00Z' },
    moments: ['2026-03-29T01:00:00Z', '2026-03-29T01:30:00Z'],
  },
  {
    name: 'a gap that ends at midnight (Nuuk)',
    ...{ schedule: '30 23 * * *', timeZone: 'America/Nuuk', from: '2026-03-27T12:00:00Z', until: '2026-03-30T12:00:00Z' },
    moments: ['2026-03-28T01:30:00Z', '2026-03-29T01:00:00Z', '2026-03-30T00:30:00Z'],
  },
  {
    name: 'the same for the first minute of the gap (Scoresbysund)',
    ...{ schedule: '0 23 * * *', timeZone: 'America/Scoresbysund', from: '2026-03-28T12:00:00Z', until: '2026-03-29T12:00:00Z' },
    moments: ['2026-03-29T01:00:00Z'],
  },
  {
    name: 'a gap that begins at midnight (Beirut)',
    ...{ schedule: '30 0 * * *', timeZone: 'Asia/Beirut', from: '2026-03-28T12:00:00Z', until: '2026-03-29T12:00:00Z' },
    moments: ['2026-03-28T22:00:00Z'],
  },
  {
    name: 'a gap of two hours (Troll)',
    ...{ schedule: '30 1,2 * * *', timeZone: 'Antarctica/Troll', from: '2026-03-28T12:00:00Z', until: '2026-03-29T12:00:00Z' },
    moments: ['2026-03-29T01:00:00Z'],
  },
  {
    name: 'a day that there was not has one run, at its end (Samoa)',
    ...{ schedule: '0 1,12 * * *', timeZone: 'Pacific/Apia', from: '2011-12-29T20:00:00Z', until: '2011-12-31T00:00:00Z' },
    moments: ['2011-12-29T22:00:00Z', '2011-12-30T10:00:00Z', '2011-12-30T11:00:00Z', '2011-12-30T22:00:00Z'],
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
    const found = momentsOf(createSchedule(schedule, timeZone), Date.parse(from), Date.parse(until))
    assert.deepEqual(
      found.map((at) => isoSeconds(at)),
      moments.map((moment) => isoSeconds(Date.parse(moment))),
    )
  })
}

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

/** What the clocks of a zone show in each minute around its changes of 2026; where there are none, in some days of March. */
function minutesOf(timeZone: string): { readonly at: number; readonly shown: number }[][] {
  const changes: number[] = []
  let now = Temporal.Instant.from('2026-01-01T00:00Z').toZonedDateTimeISO(timeZone)
  for (
    let next = now.getTimeZoneTransition('next');
    next !== null && next.year === 2026;
    next = now.getTimeZoneTransition('next')
  ) {
    changes.push(next.epochMilliseconds)
    now = next
  }
  if (changes.length === 0) changes.push(Date.UTC(2026, 2, 29))
  return changes.map((change) =>
    Array.from({ length: (3 * DAY_MS) / MINUTE_MS }, (_, index) => {
      const at = change + index * MINUTE_MS - 1.5 * DAY_MS
      const zoned = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone)
      return { at, shown: at + zoned.offsetNanoseconds / 1e6 }
    }),
  )
}

/** The rule as people say it, minute by minute. */
function expected(
  minutes: readonly { readonly at: number; readonly shown: number }[],
  isDue: (shown: number) => boolean,
  isHourly: boolean,
) {
  const moments = []
  let last = minutes[0]!.shown - MINUTE_MS
  for (const { at, shown } of minutes) {
    if (isHourly ? isDue(shown) : range(last + MINUTE_MS, shown).some(isDue)) moments.push(at)
    last = Math.max(last, shown)
  }
  return moments
}

function range(from: number, to: number): number[] {
  return from > to ? [] : Array.from({ length: (to - from) / MINUTE_MS + 1 }, (_, index) => from + index * MINUTE_MS)
}

test('any minutes and hours, in any zone, on the days of its changes', () => {
  const zones = ['Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe', 'America/Nuuk', 'Antarctica/Troll']
  const minutes = new Map([...zones, 'Asia/Beirut', 'Africa/Casablanca', 'UTC'].map((zone) => [zone, minutesOf(zone)]))
  const hours = fc.oneof(fc.uniqueArray(fc.nat(4), { minLength: 1 }), fc.uniqueArray(fc.nat(23), { minLength: 1 }))
  fc.assert(
    fc.property(
      fc.constantFrom(...minutes.keys()),
      fc.uniqueArray(fc.nat(59), { minLength: 1, maxLength: 4 }),
      fc.oneof(hours, fc.constant(Array.from({ length: 24 }, (_, hour) => hour))),
      (zone, ms, hs) => {
        const schedule = createSchedule(`${ms} ${hs} * * *`, zone)
        const isDue = (shown: number) =>
          ms.includes(new Date(shown).getUTCMinutes()) && hs.includes(new Date(shown).getUTCHours())
        for (const days of minutes.get(zone)!) {
          const found = momentsOf(schedule, days[0]!.at - 1, days.at(-1)!.at)
          assert.deepEqual(found, expected(days, isDue, hs.length === 24))
        }
      },
    ),
    { numRuns: 60 },
  )
})

function momentsOf(schedule: Schedule, from: number, until: number): number[] {
  const moments = []
  for (let at = schedule.next(from); at !== null && at <= until; at = schedule.next(at)) moments.push(at)
  return moments
}
