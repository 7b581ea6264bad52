/**
 * Makes things go wrong, and right again: the faults that come by time. Those that come by step (a death at a batch, an
 * answer that is lost) are where the step is.
 */
import type { Dice } from './dice.js';
import { TIMED_FAULTS, type Plan, type TimedFault } from './schedule.js';
import type { Scheduler } from './sim-clock.js';
import type { NodeHost } from './sim-node.js';
import type { ProducerHost } from './sim-producer.js';
import type { SimServer } from './sim-server.js';

export interface Scene {
  readonly plan: Plan;
  readonly scheduler: Scheduler;
  readonly server: SimServer;
  readonly hosts: readonly NodeHost[];
  readonly producers: readonly ProducerHost[];
  readonly chaos: () => boolean;
  /** A node was frozen: somebody may have to stand in for it. */
  onFrozen(host: NodeHost): void;
  onStreamDeleted(): void;
}

const HOUR_MS = 3_600_000;
const USUAL_DISK_MS: readonly [number, number] = [1, 4];

export class Faults {
  readonly #scene: Scene;
  readonly #dice: Dice;
  /** How often each kind has happened. */
  readonly happened = new Map<TimedFault, number>();

  constructor(scene: Scene, dice: Dice) {
    this.#scene = scene;
    this.#dice = dice;
  }

  begin(): void {
    const { plan, server } = this.#scene;
    server.faults.cut = plan.faults['cut-batch'] ?? 0;
    server.faults.silence = plan.faults['silence-batch'] ?? 0;
    server.faults.refuse = plan.faults['refuse-batch'] ?? 0;
    for (const kind of TIMED_FAULTS) {
      const meanMs = plan.faults[kind];
      if (meanMs !== undefined) this.#next(kind, meanMs, this.#dice.of(kind));
    }
  }

  /** All is well from now on. */
  end(): void {
    const { server, hosts } = this.#scene;
    Object.assign(server.faults, { cut: 0, silence: 0, refuse: 0 });
    server.diskMs = USUAL_DISK_MS;
    server.electLeader();
    server.restart();
    for (const host of hosts) {
      host.disk.full = false;
      setSkew(host, 0);
      host.process?.thaw();
    }
  }

  #next(kind: TimedFault, meanMs: number, dice: Dice): void {
    this.#later(dice.wait(meanMs), kind, () => {
      this.happened.set(kind, (this.happened.get(kind) ?? 0) + 1);
      this.#scene.scheduler.note('fault', kind);
      this.#happen(kind, dice);
      this.#next(kind, meanMs, dice);
    });
  }

  /** Only as long as there is chaos. */
  #later(delayMs: number, label: string, run: () => void): void {
    const { scheduler, chaos } = this.#scene;
    scheduler.after(delayMs, undefined, label, () => {
      if (chaos()) run();
    });
  }

  #happen(kind: TimedFault, dice: Dice): void {
    const { server, hosts, producers } = this.#scene;
    const running = hosts.filter((host) => host.running);
    const host = running.length === 0 ? undefined : dice.pick(running);
    switch (kind) {
      case 'kill-node':
        host?.kill('killed');
        return;
      case 'freeze-node':
        if (host !== undefined) this.#freeze(host, dice.between(300, 15_000));
        return;
      case 'restart-node':
        host?.stop();
        return;
      case 'rolling-restart':
        for (const [i, each] of hosts.entries())
          this.#later(i * 3_000, 'next', () => {
            each.stop();
          });
        return;
      case 'jump-clock':
        if (host === undefined) return;
        setSkew(host, Math.floor(dice.between(-HOUR_MS, HOUR_MS)));
        this.#later(dice.between(1_000, 20_000), 'clock right', () => {
          setSkew(host, 0);
        });
        return;
      case 'fill-disk':
        if (host === undefined) return;
        host.disk.full = true;
        this.#later(dice.between(500, 8_000), 'room', () => {
          host.disk.full = false;
        });
        return;
      case 'damage-disk':
        if (host === undefined) return;
        this.#damage(host, dice);
        return;
      case 'kill-server':
        server.kill();
        this.#later(dice.between(100, 12_000), 'server back', () => {
          server.restart();
        });
        return;
      case 'lose-leader':
        server.loseLeader();
        this.#later(dice.between(100, 8_000), 'leader', () => {
          server.electLeader();
        });
        return;
      case 'slow-disk':
        server.diskMs = [20, 1_500];
        this.#later(dice.between(500, 10_000), 'disk right', () => {
          server.diskMs = USUAL_DISK_MS;
        });
        return;
      case 'disconnect': {
        const connections = [...server.connections];
        if (connections.length > 0) dice.pick(connections).cut(dice.between(1, 5_000));
        return;
      }
      case 'kill-producer':
        dice.pick(producers).kill();
        return;
      case 'delete-stream':
        this.#scene.onStreamDeleted();
        return;
    }
  }

  #damage(host: NodeHost, dice: Dice): void {
    const { disk } = host;
    const how = dice.pick(['corrupt', 'flipped', 'gone'] as const);
    if (how === 'flipped') disk.flipped.add(dice.int(0, this.#scene.plan.partitions - 1));
    else disk.damage = how;
    // A byte may flip under a node that runs.
    if (how !== 'flipped' || dice.chance(0.5)) host.kill('killed, its disk is damaged');
  }

  /** SIGSTOP, and SIGCONT after a while. */
  #freeze(host: NodeHost, forMs: number): void {
    const { process } = host;
    process?.freeze();
    this.#scene.onFrozen(host);
    this.#later(forMs, 'thaw', () => process?.thaw());
  }
}

function setSkew(host: NodeHost, skewMs: number): void {
  host.skewMs = skewMs;
  if (host.process !== undefined) host.process.clock.skewMs = skewMs;
}
