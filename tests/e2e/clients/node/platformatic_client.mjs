// @platformatic/kafka.
import { readFileSync } from 'node:fs'
import { Admin, Consumer, Producer, cooperativeStickyAssigner } from '@platformatic/kafka'
import {
  CODECS, PARTITIONS, expectEqual, expectError, main, records, sleep, waitFor
} from './story.mjs'

const TOPIC_RESOURCE = 2
const COOPERATIVE = {
  protocols: [{ name: 'cooperative-sticky', version: 1 }],
  partitionAssigner: cooperativeStickyAssigner
}
const described = new URL('node_modules/@platformatic/kafka/package.json', import.meta.url)
const { version } = JSON.parse(readFileSync(described))

const message = topic => ({ time, key, value, headers, partition }) => ({
  topic,
  partition,
  key: key ?? undefined,
  value: value ?? undefined,
  headers: new Map(Object.entries(headers).map(([name, text]) => [Buffer.from(name), text])),
  ...(time ? { timestamp: BigInt(time) } : {})
})

class Transactional {
  async open (client, name) {
    this.client = client
    this.producer = new Producer({ ...client.base(), transactionalId: name, idempotent: true, acks: -1 })
    // The producer id is taken by the first transaction: begun here, so that fencing is seen.
    this.transaction = await this.producer.beginTransaction()
    this.fresh = true
    return this
  }

  async begin () {
    if (!this.fresh) this.transaction = await this.producer.beginTransaction()
    this.fresh = false
  }

  async send (topic, batch) {
    await this.transaction.send({ messages: batch.map(message(topic)) })
  }

  async end (commit) { await (commit ? this.transaction.commit() : this.transaction.abort()) }

  async consume (topic, group, count) {
    this.consumer = this.client.consumer(group, { autocommit: false, isolationLevel: 1 })
    this.last = new Map()
    const values = []
    const stream = await this.consumer.consume({
      topics: [topic], mode: 'committed', fallbackMode: 'earliest'
    })
    stream.on('error', console.error)
    stream.on('data', one => {
      values.push(one.value)
      this.last.set(one.partition, one)
    })
    await waitFor(() => values.length >= count, 'records consumed')
    this.stream = stream
    return values
  }

  async sendOffsets () {
    await this.transaction.addConsumer(this.consumer)
    for (const one of this.last.values()) await this.transaction.addOffset(one)
  }

  async doneConsuming () {
    await this.stream.close()
    await this.consumer.close(true)
  }

  async close () { await this.producer.close() }
}

const client = {
  name: 'platformatic',
  version,
  codecs: CODECS,
  unsupported: { fenced: 'names producer 0 in InitProducerId: a second producer is refused' },

  base () { return { clientId: 'matrix', bootstrapBrokers: [this.address], retries: 5, retryDelay: 200 } },

  consumer (groupId, more) {
    return new Consumer({ ...this.base(), groupId, maxWaitTime: 200, ...more })
  },

  async administer (run) {
    const admin = new Admin(this.base())
    try {
      return await run(admin)
    } finally {
      await admin.close()
    }
  },

  async create (topic, partitions, configs = {}) {
    const given = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await this.administer(admin =>
      admin.createTopics({ topics: [topic], partitions, replicas: 1, configs: given }))
  },

  async produce (topic, batch, codec, idempotent) {
    const producer = new Producer({ ...this.base(), idempotent, acks: -1, compression: codec })
    await producer.send({ messages: batch.map(message(topic)) })
    await producer.close()
  },

  async read (topic, partitions, from, count, committed) {
    const consumer = this.consumer(`read-${topic}-${Date.now()}`, {
      autocommit: false, isolationLevel: committed ? 1 : 0
    })
    const found = Array.from({ length: partitions }, () => [])
    let total = 0
    const offsets = found.map((_, partition) =>
      ({ topic, partition, offset: BigInt(from[partition] ?? 0) }))
    const stream = await consumer.consume({ topics: [topic], mode: 'manual', offsets })
    stream.on('error', console.error)
    stream.on('data', m => {
      found[m.partition].push({
        partition: m.partition,
        time: Number(m.timestamp),
        key: m.key ?? null,
        value: m.value ?? null,
        headers: Object.fromEntries([...m.headers].map(([name, text]) => [`${name}`, text])),
        offset: Number(m.offset)
      })
      ++total
    })
    await waitFor(() => total >= count, `${count} records of ${topic}`)
    await sleep(500)
    await stream.close()
    await consumer.close(true)
    expectEqual(total, count, 'records')
    return found
  },

  async offsetAt (topic, partition, asked) {
    const timestamp = BigInt({ earliest: -2, latest: -1 }[asked] ?? asked)
    const told = await this.administer(admin => admin.listOffsets({
      topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }]
    }))
    return Number(told[0].partitions[0].offset)
  },

  async join (topic, group, kind, instance, seen) {
    const consumer = this.consumer(group, {
      ...(kind === 'kip848' ? { groupProtocol: 'consumer' }
        : { sessionTimeout: 6000, heartbeatInterval: 500 }),
      ...(kind === 'cooperative' ? COOPERATIVE : {}),
      ...(instance ? { groupInstanceId: instance } : {}),
      autocommit: 100
    })
    const stream = await consumer.consume({
      topics: [topic], mode: 'committed', fallbackMode: 'earliest'
    })
    stream.on('error', error => { seen.error = error })
    stream.on('data', m => seen.found.add(`${m.partition}:${m.offset}`))
    const look = setInterval(() => {
      seen.owned = (consumer.assignments ?? []).flatMap(a => a.partitions).length
    }, 50)
    return {
      stop: async () => {
        clearInterval(look)
        await sleep(300) // The last commit.
        await stream.close()
        await consumer.close(true)
      }
    }
  },

  async transactional (name) { return new Transactional().open(this, name) },

  async committed (group, topic, partitions) {
    const told = await this.administer(admin => admin.listConsumerGroupOffsets({
      groups: [{
        groupId: group,
        topics: [{ name: topic, partitionIndexes: Array.from({ length: partitions }, (_, p) => p) }]
      }]
    }))
    return told[0].topics[0].partitions.sort((a, b) => a.partitionIndex - b.partitionIndex)
      .map(p => Number(p.committedOffset))
  },

  async admin (topic) {
    await this.create(topic, PARTITIONS, { 'retention.ms': '-1' })
    await expectError(/exist/i, 'the same topic again', () => this.create(topic, PARTITIONS))
    await this.produce(topic, records('admin'), 'none', false)
    await this.administer(async admin => {
      const resource = { resourceType: TOPIC_RESOURCE, resourceName: topic }
      const retention = async () => {
        const told = await admin.describeConfigs({
          resources: [{ ...resource, configurationKeys: ['retention.ms'] }]
        })
        return told[0].configs[0].value
      }
      const alter = (configOperation, value) => admin.incrementalAlterConfigs({
        resources: [{ ...resource, configs: [{ name: 'retention.ms', configOperation, value }] }]
      })
      expectEqual(await retention(), '-1', 'retention.ms as created')
      await alter(0, '86400000')
      await waitFor(async () => await retention() === '86400000', 'retention.ms altered')
      await alter(1, null)
      await waitFor(async () => await retention() === '604800000', 'retention.ms by default')
      await expectError(/config/i, 'a bad value', () => alter(0, 'soon'))
      const gone = await admin.deleteRecords({
        topics: [{ name: topic, partitions: [{ partition: 0, offset: 40n }] }]
      })
      expectEqual(gone[0].partitions[0].lowWatermark, 40n, 'low watermark')
      expectEqual(await this.offsetAt(topic, 0, 'earliest'), 40, 'first offset left')
      await admin.createPartitions({ topics: [{ name: topic, count: 5, assignments: null }] })
      await admin.deleteTopics({ topics: [topic] })
      await waitFor(async () => !(await admin.listTopics()).includes(topic), 'the topic is gone')
    })
  },

  async groupAdmin (group) {
    await this.administer(async admin => {
      expectEqual((await admin.listGroups()).has(group), true, 'the group is listed')
      const told = await admin.describeGroups({ groups: [group] })
      expectEqual(told.get(group).state, 'Empty', 'state')
      expectEqual(await this.committed(group, group, 4), [20, 20, 20, 20], 'offsets')
      await admin.alterConsumerGroupOffsets({
        groupId: group, topics: [{ name: group, partitionOffsets: [{ partition: 0, offset: 7n }] }]
      })
      expectEqual(await this.committed(group, group, 1), [7], 'an offset that was changed')
      await admin.deleteGroups({ groups: [group] })
      expectEqual((await admin.listGroups()).has(group), false, 'the group is listed')
    })
  }
}

main(client)
