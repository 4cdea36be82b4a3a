import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { GIB } from '../src/base/units.ts'

/** One of the rows of `npm run bench`: what was measured, what was to be reached, and what a reader must know about it. */
export interface Row {
  readonly row: string
  readonly title: string
  readonly figures: readonly Figure[]
  readonly targets: readonly Target[]
  /** How it was measured this time, and where the time goes. */
  readonly notes: readonly string[]
  /** Why nothing, or not everything, was measured. */
  readonly skipped?: string
}

/** The median over the runs, and the runs. */
export interface Figure {
  readonly name: string
  readonly unit: 'per_second' | 'ms' | 'mb' | 'mb_per_second' | 'microseconds' | 'rows'
  readonly value: number
  readonly runs?: readonly number[]
}

/** A ratio against the baseline of the same run, or an amount, and what it should be. */
export interface Target {
  readonly name: string
  readonly value: number
  readonly unit: 'ratio' | 'mb' | 'ms'
  readonly atLeast?: number
  readonly atMost?: number
  readonly runs?: readonly number[]
}

export function isReached({ value, atLeast, atMost }: Target): boolean {
  return (atLeast === undefined || value >= atLeast) && (atMost === undefined || value <= atMost)
}

export interface Machine {
  readonly cores: number
  readonly cpu: string
  readonly memoryGib: number
  readonly system: string
  readonly node: string
}

export function describeMachine(): Machine {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGib: Math.round(totalmem() / GIB),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
  }
}

export interface Report {
  readonly startedAt: string
  readonly seconds: number
  readonly quick: boolean
  readonly machine: Machine
  readonly rows: readonly Row[]
}

export function toJson(report: Report): string {
  const rows = report.rows.map((row) => ({
    ...row,
    targets: row.targets.map((target) => ({ ...target, reached: isReached(target) })),
  }))
  return `${JSON.stringify({ ...report, rows }, null, 2)}\n`
}

const UNITS: Record<Figure['unit'] | Target['unit'], (value: number) => string> = {
  per_second: (value) => `${group(value)} /s`,
  ms: (value) => `${value.toFixed(value < 10 ? 2 : 1)} ms`,
  mb: (value) => `${value.toFixed(0)} MB`,
  mb_per_second: (value) => `${value.toFixed(0)} MB/s`,
  microseconds: (value) => `${value.toFixed(1)} µs`,
  rows: (value) => group(value),
  ratio: (value) => value.toFixed(2),
}

/** For people: every row with its figures, then the targets. */
export function toTable(rows: readonly Row[]): string {
  const lines: string[] = []
  for (const row of rows) {
    lines.push(`(${row.row}) ${row.title}`)
    if (row.skipped !== undefined) lines.push(`    not measured: ${row.skipped}`)
    for (const { name, unit, value, runs } of row.figures)
      lines.push(`    ${name.padEnd(56)} ${UNITS[unit](value).padStart(12)}${spread(unit, runs)}`)
    for (const target of row.targets) {
      const bound = target.atLeast === undefined ? `≤ ${target.atMost}` : `≥ ${target.atLeast}`
      const verdict = isReached(target) ? 'reached' : 'NOT reached'
      lines.push(`  → ${target.name.padEnd(56)} ${UNITS[target.unit](target.value).padStart(12)}   target ${bound}: ${verdict}`)
    }
    for (const note of row.notes) lines.push(`    ${note}`)
    lines.push('')
  }
  return lines.join('\n')
}

function spread(unit: Figure['unit'], runs: readonly number[] | undefined): string {
  if (runs === undefined || runs.length < 2) return ''
  return `   (${UNITS[unit](Math.min(...runs))} … ${UNITS[unit](Math.max(...runs))})`
}

function group(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
