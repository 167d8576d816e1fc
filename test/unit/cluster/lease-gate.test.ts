import t from 'tap'
import { LeaseGate } from '../../../plugin/cluster/lease-gate.ts'
import { VirtualClock } from './virtual-clock.ts'

class Lease {
  readonly clock = new VirtualClock()
  until = 0
  verified = 0
  isolated = 0
  settle: Array<{ resolve: () => void, reject: (error: Error) => void }> = []
  readonly gate: LeaseGate

  constructor (isolatedMs = 500) {
    this.gate = new LeaseGate({ clock: this.clock, isolatedMs, leaseUntil: () => this.until })
    this.gate.serve({
      verify: () => {
        this.verified++
        return new Promise<void>((resolve, reject) => { this.settle.push({ resolve, reject }) })
      },
      isolated: () => { this.isolated++ }
    })
  }

  renew (): void {
    if (this.clock.now() >= this.until) this.gate.began()
    this.until = this.clock.now() + 100
    this.gate.renewed()
  }

  async answer (how: 'resolve' | 'reject'): Promise<void> {
    const { resolve, reject } = this.settle.shift()!
    if (how === 'resolve') resolve()
    else reject(new Error('the engine does not answer'))
    await this.clock.pass(0)
  }
}

t.test('a node serves before its first lease, and while its lease runs', async (t) => {
  const lease = new Lease()
  t.ok(lease.gate.isOpen)
  lease.renew()
  t.ok(lease.gate.isOpen, 'nobody knew its sessions before')
  t.equal(lease.verified, 1)
  await lease.answer('resolve')
  await lease.clock.pass(99)
  t.ok(lease.gate.isOpen)
  await lease.clock.pass(1)
  t.notOk(lease.gate.isOpen)
})

t.test('a new lease counts when all records were read again', async (t) => {
  const lease = new Lease()
  lease.renew()
  await lease.answer('resolve')
  await lease.clock.pass(100)
  lease.renew()
  t.notOk(lease.gate.isOpen)
  await lease.answer('reject')
  t.notOk(lease.gate.isOpen)
  lease.renew()
  t.equal(lease.verified, 3, 'the next renewal tries again')
  await lease.answer('resolve')
  t.ok(lease.gate.isOpen)
  lease.renew()
  t.equal(lease.verified, 3, 'a renewal needs nothing')
})

t.test('a lease that ends while records are read needs another reading', async (t) => {
  const lease = new Lease()
  lease.renew()
  await lease.answer('resolve')
  await lease.clock.pass(100)
  lease.renew()
  await lease.clock.pass(150)
  lease.renew()
  t.equal(lease.verified, 2, 'one reading at a time')
  await lease.answer('resolve')
  t.notOk(lease.gate.isOpen, 'that reading began before the lease')
  await lease.answer('resolve')
  t.ok(lease.gate.isOpen)
})

t.test('a node without a lease for long is isolated, once', async (t) => {
  const lease = new Lease(500)
  lease.renew()
  await lease.answer('resolve')
  await lease.clock.pass(50)
  lease.renew()
  await lease.clock.pass(599)
  t.equal(lease.isolated, 0)
  await lease.clock.pass(1)
  t.equal(lease.isolated, 1)
  await lease.clock.pass(2_000)
  t.equal(lease.isolated, 1)
  lease.renew()
  await lease.clock.pass(600)
  t.equal(lease.isolated, 2)
  const never = new Lease(0)
  never.renew()
  await never.clock.pass(100_000)
  t.equal(never.isolated, 0)
})

t.test('a closed gate stays closed', async (t) => {
  const lease = new Lease()
  lease.renew()
  lease.gate.close()
  t.notOk(lease.gate.isOpen)
  lease.renew()
  t.equal(lease.clock.pending, 0, 'no timer is left')
  await lease.clock.pass(1_000)
  t.equal(lease.isolated, 0)
})

t.test('whoever waits for the lease learns that it is there, that the time is over, or that there will be none', async (t) => {
  const lease = new Lease()
  lease.renew()
  t.equal(lease.gate.whenOpen(1_000), null)
  await lease.answer('resolve')
  await lease.clock.pass(100)
  const told: string[] = []
  const wait = (name: string, ms: number) => { lease.gate.whenOpen(ms)!.then(() => { told.push(name) }) }
  wait('late', 10)
  wait('there', 1_000)
  await lease.clock.pass(10)
  t.strictSame(told, ['late'])
  lease.renew()
  await lease.clock.pass(0)
  t.strictSame(told, ['late'], 'the records are not read yet')
  await lease.answer('resolve')
  t.strictSame(told, ['late', 'there'])
  await lease.clock.pass(100)
  wait('closed', 1_000)
  lease.gate.close()
  await lease.clock.pass(0)
  t.strictSame(told, ['late', 'there', 'closed'])
  t.equal(lease.gate.whenOpen(1_000), null)
})
