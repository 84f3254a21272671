// The promises of growth, and the figures as a table.
const percent = share => `${(share * 100).toFixed(1)} %`
const MiB = bytes => (bytes / 2 ** 20).toFixed(1)

export function promisesOf({ partitioner, phases, outcomes, lost, set, verify, rows }) {
  const promise = (text, isKept, figure) => ({ partitioner, promise: text, isKept, figure })
  return [
    ...phases.flatMap(phase => [
      promise(
        `${phase.name}: moved bytes within 10 % of the plan`,
        Math.abs(phase.ratio - 1) <= 0.1,
        `${MiB(phase.movedBytes)} of ${MiB(phase.plannedBytes)} MiB, ${percent(phase.ratio)}`,
      ),
      promise(
        `${phase.name}: no receiver took more than the throttle allows`,
        phase.greatestShareOfLimit <= 1,
        `at most ${percent(phase.greatestShareOfLimit)} of it in any stretch of time`,
      ),
    ]),
    promise(
      'no acknowledged write was lost',
      lost === 0,
      `${outcomes.writes} writes, ${rows} rows read back, ${lost} lost`,
    ),
    promise(
      'workload run set --check found every element',
      set.missing === 0 && set.checked > 0,
      `${set.checked} checked, ${set.missing} missing`,
    ),
    promise('verify is clean', verify === 0, `exit code ${verify}`),
  ]
}

export function tableOf(runs) {
  const head = ['', ...runs.map(({ partitioner }) => partitioner)]
  const line = (name, value) => [name, ...runs.map(value)]
  const phase = (name, label, value) =>
    line(`${name}: ${label}`, run => {
      const found = run.phases.find(one => one.name === name)
      return found === undefined ? '-' : String(value(found))
    })
  const lines = [
    line('rows', run => String(run.rows)),
    line('seconds', run => String(run.seconds)),
    line('import rows/s', run => String(run.importRowsPerSecond)),
    line('user requests/s, p99 ms before', run => `${run.before.perSecond}, ${run.before.p99Ms}`),
    ...['grow', 'shrink'].flatMap(name => [
      phase(name, 'partitions', one => one.moves),
      phase(name, 'seconds', one => one.seconds),
      phase(name, 'killed', one => one.killed.join(' ')),
      phase(name, 'planned MiB', one => MiB(one.plannedBytes)),
      phase(name, 'moved MiB', one => MiB(one.movedBytes)),
      phase(name, 'moved/planned', one => percent(one.ratio)),
      phase(name, 'most of the limit used', one => percent(one.greatestShareOfLimit)),
      phase(name, 'mean rate of the limit', one => percent(one.meanRateOfLimit)),
      phase(name, 'user requests/s, p99 ms', one => `${one.load.perSecond}, ${one.load.p99Ms}`),
      phase(name, 'p99 / before', one => one.p99Ratio),
    ]),
    line('checked writes', run => String(run.outcomes.writes + run.set.checked)),
    line(
      'refused / unknown',
      run => `${run.outcomes.refused + run.set.refused} / ${run.outcomes.unknown + run.set.unknown}`,
    ),
    line('lost', run => String(run.lost + run.set.missing)),
    line('verify', run => (run.verify === 0 ? 'clean' : `exit code ${run.verify}`)),
  ]
  const widths = head.map((_, at) => Math.max(...[head, ...lines].map(cells => cells[at].length)))
  return [head, ...lines]
    .map(cells =>
      cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[at]))).join('  '),
    )
    .join('\n')
}
