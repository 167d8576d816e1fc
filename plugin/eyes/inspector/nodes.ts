import type { Detail, Target, View } from '../../../schemas/inspector.ts'
import { isRecord } from '../../../schemas/record.ts'
import type { Reply } from '../../cluster/node-calls.ts'
import type { Deed, LocalNode, Rows } from './local-node.ts'
import { sortRows } from './session-table.ts'
import type { InspectedSubject } from './subject.ts'

/** The request by which the inspectors of nodes ask each other. */
const requestName = 'inspector'

type Question =
  { readonly ask: 'rows', readonly view: View, readonly end: number } |
  { readonly ask: 'detail', readonly key: string } |
  { readonly ask: 'act', readonly key: string, readonly deed: Deed }

/** Rows of all nodes. */
export interface JointRows extends Rows {
  /** Nodes that gave no answer, or have no inspector. */
  readonly silent: string[]
}

interface Limits {
  /** Most rows of a cluster that can be leafed through. */
  readonly rows: number
  /** How long another node may take. */
  readonly waitMs: number
}

/** This node and the others, as one. Without a cluster, this node alone. */
export class Nodes {
  readonly #local: LocalNode
  readonly #cluster: InspectedSubject['cluster']
  readonly #limits: Limits

  /** @param onAsked another node has asked: somebody looks there */
  constructor (local: LocalNode, cluster: InspectedSubject['cluster'], limits: Limits, onAsked: () => void) {
    this.#local = local
    this.#cluster = cluster
    this.#limits = limits
    cluster?.calls.respond(requestName, (_from, question) => {
      onAsked()
      return { name: 'ok', data: this.#answer(question as Question) }
    })
  }

  #answer (question: Question): unknown {
    switch (question.ask) {
      case 'rows': return this.#local.rows(question.view, 0, Math.min(question.end, this.#limits.rows))
      case 'detail': return this.#local.detail(question.key)
      case 'act': return this.#local.act(question.key, question.deed)
    }
  }

  #others (): string[] {
    return (this.#cluster?.nodes() ?? []).filter(({ isSelf }) => !isSelf).map(({ name }) => name)
  }

  /** Rejects without an answer in time. */
  async #ask (node: string, question: Question): Promise<unknown> {
    const { name, data }: Reply = await this.#cluster!.calls.ask(node, requestName, question, this.#limits.waitMs)
    if (name !== 'ok') throw new Error(`the node ${node} answers "${name}"`)
    return data
  }

  /** The rows of a view. In a cluster, only the first of all rows can be leafed through. */
  async rows (view: View): Promise<JointRows> {
    const others = this.#others()
    const { offset, limit } = view
    if (others.length === 0) return { ...this.#local.rows(view, offset, offset + limit), silent: [] }
    const end = Math.min(offset + limit, this.#limits.rows)
    const silent: string[] = []
    const all = [this.#local.rows(view, 0, end)]
    await Promise.all(others.map(async (node) => {
      const rows = await this.#ask(node, { ask: 'rows', view, end }).catch(() => null)
      if (isRows(rows)) all.push(rows)
      else silent.push(node)
    }))
    return {
      total: all.reduce((sum, { total }) => sum + total, 0),
      matching: Math.min(this.#limits.rows, all.reduce((sum, { matching }) => sum + matching, 0)),
      rows: sortRows(all.flatMap(({ rows }) => rows), view).slice(offset, end),
      silent
    }
  }

  async detail ({ node, key }: Target): Promise<Detail> {
    const found = node === this.#local.name ? this.#local.detail(key) : await this.#askKnown(node, { ask: 'detail', key })
    return { node, key, found: (found ?? null) as Detail['found'] }
  }

  async act ({ node, key }: Target, deed: Deed): Promise<boolean> {
    return node === this.#local.name ? this.#local.act(key, deed) : await this.#askKnown(node, { ask: 'act', key, deed }) === true
  }

  /** Undefined for a node that is not there, or gives no answer. */
  async #askKnown (node: string, question: Question): Promise<unknown> {
    if (!this.#others().includes(node)) return undefined
    return await this.#ask(node, question).catch(() => undefined)
  }
}

function isRows (value: unknown): value is Rows {
  return isRecord(value) && typeof value.total === 'number' && typeof value.matching === 'number' && Array.isArray(value.rows)
}
