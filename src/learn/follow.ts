/** A follower of a team, as a task of a pool. */
import { type Network, type NetworkConfig, openNetwork } from '../engine/network.ts';
import { type TeamParts, follow } from '../engine/team.ts';

export interface FollowTask {
  readonly config: NetworkConfig;
  readonly parts: Network['parts'];
  readonly team: TeamParts;
  readonly memory: WebAssembly.Memory;
  /** 1, 2, ... */
  readonly worker: number;
}

/** Task of the pool: a follower, until the team is dismissed. */
export function followLeader({ config, parts, team, memory, worker }: FollowTask): void {
  follow(memory, openNetwork(memory.buffer, config, parts), team, worker);
}
