import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MinCostFlow } from './min-cost-flow.ts'

interface Arc {
  readonly from: number
  readonly to: number
  readonly capacity: number
  readonly cost: number
}

/** Tries every whole flow on every arc. */
function bruteForce(vertices: number, arcs: readonly Arc[]): { flow: number; cost: number } {
  let best = { flow: 0, cost: 0 }
  const amounts: number[] = []
  const judge = (): void => {
    const surplus = new Array<number>(vertices).fill(0)
    let cost = 0
    arcs.forEach((arc, i) => {
      surplus[arc.from]! -= amounts[i]!
      surplus[arc.to]! += amounts[i]!
      cost += amounts[i]! * arc.cost
    })
    if (surplus.some((value, vertex) => vertex > 1 && value !== 0)) return
    const flow = surplus[1]!
    if (flow > best.flow || (flow === best.flow && cost < best.cost)) best = { flow, cost }
  }
  const choose = (i: number): void => {
    if (i === arcs.length) return judge()
    for (let amount = 0; amount <= arcs[i]!.capacity; amount++) {
      amounts[i] = amount
      choose(i + 1)
    }
  }
  choose(0)
  return best
}

function solve(vertices: number, arcs: readonly Arc[]) {
  const network = new MinCostFlow(vertices, arcs.length)
  const numbers = arcs.map(arc => network.addArc(arc.from, arc.to, arc.capacity, arc.cost))
  const result = network.run(0, 1)
  return { result, flows: numbers.map(number => network.flowOn(number)) }
}

describe('min-cost flow', () => {
  it('finds what trying everything finds, and its flow is one', () => {
    const vertices = 5
    const arc = fc.record({
      from: fc.nat(vertices - 1),
      to: fc.nat(vertices - 1),
      capacity: fc.nat(2),
      cost: fc.nat(4),
    })
    fc.assert(
      fc.property(fc.array(arc, { maxLength: 8 }), drawn => {
        const arcs = drawn.filter(({ from, to }) => from !== to)
        const { result, flows } = solve(vertices, arcs)
        expect(result).toEqual(bruteForce(vertices, arcs))
        expect(flows.reduce((sum, flow, i) => sum + flow * arcs[i]!.cost, 0)).toBe(result.cost)
        expect(flows.every((flow, i) => flow >= 0 && flow <= arcs[i]!.capacity)).toBe(true)
        expect(solve(vertices, arcs).flows).toEqual(flows)
      }),
      { numRuns: 300 },
    )
  })

  it('goes back on a cheap start where the whole is cheaper', () => {
    const arcs = [
      { from: 0, to: 2, capacity: 1, cost: 0 },
      { from: 0, to: 3, capacity: 1, cost: 3 },
      { from: 2, to: 3, capacity: 1, cost: 0 },
      { from: 2, to: 1, capacity: 1, cost: 5 },
      { from: 3, to: 1, capacity: 1, cost: 0 },
    ]
    const { result, flows } = solve(4, arcs)
    expect(result).toEqual({ flow: 2, cost: 8 })
    expect(flows).toEqual([1, 1, 0, 1, 1])
  })
})
