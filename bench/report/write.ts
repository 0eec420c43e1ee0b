import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readmeFile } from '../paths.js'
import { renderMarkdown, replaceBetweenMarkers } from './readme.js'
import type { Report } from './result.js'
import { renderSvg } from './svg.js'

/** Keeps a run: under its date, and as the latest one with its picture. */
export function writeReport(report: Report, folder: string): void {
  mkdirSync(folder, { recursive: true })
  const text = `${JSON.stringify(report, roundNumbers, 2)}\n`
  writeFileSync(join(folder, `${report.date.slice(0, 10)}-${report.id}.json`), text)
  writeFileSync(join(folder, 'latest.json'), text)
  writePicture(report, folder)
}

export function writePicture(report: Report, folder: string): void {
  writeFileSync(join(folder, 'latest.svg'), renderSvg(report))
}

export function readLatest(folder: string): Report {
  return JSON.parse(readFileSync(join(folder, 'latest.json'), 'utf8')) as Report
}

/** Renews the README's table. Throws when the README has no place for it. */
export function writeReadme(report: Report): void {
  writeFileSync(readmeFile, replaceBetweenMarkers(readFileSync(readmeFile, 'utf8'), renderMarkdown(report)))
}

/** Four digits are more than such measurements carry. */
function roundNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value
}
