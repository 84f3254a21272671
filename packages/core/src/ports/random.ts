/** Chance as an argument. Production seeds it from the operating system; the simulator from its seed. */
export interface Random {
  /** Uniform in 0 … 2³²−1. */
  uint32(): number
}
