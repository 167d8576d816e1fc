import { Type } from '@sinclair/typebox'
import { defineContract, request } from 'fastify-tether'
import { contract as dashboard } from '../dashboard/contract.ts'

const Notice = Type.Object({ text: Type.String({ minLength: 1, maxLength: 200 }) })

export const contract = defineContract({
  // The reply says how many tabs get the notice.
  events: { 'notice.send': request(Notice, Type.Object({ tabs: Type.Integer() })) },
  updates: { notice: Notice },
  topics: { series: dashboard.topics!.series }
})
