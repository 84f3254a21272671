/** A question and its answer reach a replica by two ways, of which one is slow: the answer is there first. */

import { causeBeforeEffect } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'

const LAG_MS = 400

export const answerBeforeQuestionScenario: Scenario = {
  name: 'answer-before-question',
  question: 'I see an answer. Can it be that I do not see the question?',
  scene: [
    'Three nodes n1, n2, n3, each with a copy of every row (replicas).',
    `n3 hears of what is written through n1 ${LAG_MS} ms late, and of what is written through n2 at once.`,
    'Ann asks through n1. Bob finds the question there and answers through n2. Cleo reads both at n3.',
  ],
  settings: [
    {
      label: 'no-session',
      explained: 'w=1, r=1: each row by itself; nothing says that the answer rests on the question.',
      expected: 'broken',
      replication: { n: 3, w: 1, r: 1 },
    },
    {
      label: 'session',
      explained:
        'w=1, r=1, everybody in a session: the answer carries what Bob had seen, and Cleo’s session asks for it.',
      expected: 'holds',
      replication: { n: 3, w: 1, r: 1 },
      session: true,
    },
    {
      label: 'quorum',
      explained: 'w=2, r=2: the question is on two of three before Bob can answer, and each read asks two.',
      expected: 'holds',
      replication: { n: 3, w: 2, r: 2 },
    },
  ],
  async act(stage) {
    stage.lag('n1', 'n3', LAG_MS)
    await stage.write('Ann', 'n1', 'question', 1)
    await stage.read('Bob', 'n1', 'question')
    await stage.write('Bob', 'n2', 'answer', 1)
    await stage.pause(20)
    await stage.read('Cleo', 'n3', 'answer')
    await stage.read('Cleo', 'n3', 'question')
  },
  check: causeBeforeEffect('question', 'answer'),
  advice:
    'Work in a session (db.session()) where rows refer to each other: it keeps cause and effect in order on any replica, also with w=1, r=1.',
}
