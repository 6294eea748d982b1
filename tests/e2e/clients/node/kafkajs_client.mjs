// kafkajs. It knows consumers of groups only: what is read by offsets is read in a group of its own.
import { createRequire } from 'node:module'
import zlib from 'node:zlib'
import {
  CODECS, COUNT, PARTITIONS, expectEqual, expectError, main, sleep, waitFor, WAIT_MS
} from './story.mjs'

const require = createRequire(import.meta.url)
const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } =
  require('kafkajs')
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => zlib.zstdCompressSync(encoder.buffer),
  decompress: async buffer => zlib.zstdDecompressSync(buffer)
})
const TYPES = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }

class Transactional {
  async open (client, name) {
    this.client = client
    this.producer = client.kafka().producer({
      transactionalId: name, idempotent: true, maxInFlightRequests: 1
    })
    await this.producer.connect()
    return this
  }

  async begin () { this.transaction = await this.producer.transaction() }

  async send (topic, batch) {
    await this.transaction.send({ topic, messages: batch.map(({ time, ...r }) => r), acks: -1 })
  }

  async end (commit) { await (commit ? this.transaction.commit() : this.transaction.abort()) }

  async consume (topic, group, count) {
    this.group = group
    this.topic = topic
    this.next = {}
    const values = []
    this.consumer = this.client.kafka().consumer({ groupId: group, maxWaitTimeInMs: 200 })
    await this.consumer.connect()
    await this.consumer.subscribe({ topic, fromBeginning: true })
    await this.consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        values.push(message.value)
        this.next[partition] = `${Number(message.offset) + 1}`
      }
    })
    await waitFor(() => values.length >= count, 'records consumed')
    return values
  }

  async sendOffsets () {
    await this.transaction.sendOffsets({
      consumerGroupId: this.group,
      topics: [{
        topic: this.topic,
        partitions: Object.entries(this.next).map(([p, offset]) => ({ partition: +p, offset }))
      }]
    })
  }

  async doneConsuming () { await this.consumer.disconnect() }

  async close () { await this.producer.disconnect() }
}

const client = {
  name: 'kafkajs',
  version: require('kafkajs/package.json').version,
  codecs: CODECS.filter(codec => codec !== 'lz4'), // Its plug-in needs a module that no longer builds.
  unsupported: {
    cooperative: 'no cooperative assigner',
    kip848: 'the classic protocol only',
    static: 'no static members'
  },

  kafka () {
    return new Kafka({ brokers: [this.address], logLevel: logLevel.NOTHING })
  },

  async administer (run) {
    const admin = this.kafka().admin()
    await admin.connect()
    try {
      return await run(admin)
    } finally {
      await admin.disconnect()
    }
  },

  async create (topic, numPartitions, configs = {}) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    return this.administer(admin =>
      admin.createTopics({ topics: [{ topic, numPartitions, configEntries }] }))
  },

  async produce (topic, batch, codec, idempotent) {
    const producer = this.kafka().producer({ idempotent, maxInFlightRequests: 1 })
    await producer.connect()
    const messages = batch.map(({ time, ...rest }) =>
      time ? { ...rest, timestamp: `${time}` } : rest)
    await producer.send({ topic, messages, compression: TYPES[codec], acks: -1 })
    await producer.disconnect()
  },

  async read (topic, partitions, from, count, committed) {
    const consumer = this.kafka().consumer({
      groupId: `read-${topic}-${Date.now()}`, readUncommitted: !committed, maxWaitTimeInMs: 200
    })
    const found = Array.from({ length: partitions }, () => [])
    let total = 0
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message: m }) => {
        const offset = Number(m.offset)
        if (offset < (from[partition] ?? 0)) return // Fetched before the seek.
        found[partition].push({
          partition,
          offset,
          time: Number(m.timestamp),
          key: m.key,
          value: m.value,
          headers: { ...m.headers }
        })
        ++total
      }
    })
    for (const [partition, offset] of Object.entries(from)) {
      consumer.seek({ topic, partition: Number(partition), offset: `${offset}` })
    }
    await waitFor(() => total >= count, `${count} records of ${topic}`)
    await sleep(500)
    await consumer.disconnect()
    expectEqual(total, count, 'records')
    return found
  },

  async offsetAt (topic, partition, asked) {
    return this.administer(async admin => {
      const told = typeof asked === 'number'
        ? await admin.fetchTopicOffsetsByTimestamp(topic, asked)
        : await admin.fetchTopicOffsets(topic)
      const one = told.find(p => p.partition === partition)
      return Number(asked === 'earliest' ? one.low : one.offset)
    })
  },

  async join (topic, group, _kind, _instance, seen) {
    const consumer = this.kafka().consumer({
      groupId: group, sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: WAIT_MS,
      maxWaitTimeInMs: 200
    })
    consumer.on('consumer.group_join', ({ payload }) => {
      seen.owned = (payload.memberAssignment[topic] ?? []).length
    })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ partition, message }) => {
        seen.found.add(`${partition}:${message.offset}`)
      }
    })
    return { stop: () => consumer.disconnect() }
  },

  async transactional (name) { return new Transactional().open(this, name) },

  async committed (group, topic, partitions) {
    const [told] = await this.administer(a => a.fetchOffsets({ groupId: group, topics: [topic] }))
    return told.partitions.sort((a, b) => a.partition - b.partition).slice(0, partitions)
      .map(p => Number(p.offset))
  },

  async admin (topic) {
    await this.create(topic, PARTITIONS, { 'retention.ms': '-1' })
    // kafkajs says false where Kafka says that it exists.
    expectEqual(await this.create(topic, PARTITIONS), false, 'the same topic again')
    await this.produce(topic, Array.from({ length: COUNT }, (_, n) =>
      ({ partition: n % 3, key: null, value: Buffer.from(`${n}`), headers: {} })), 'none', false)
    await this.administer(async admin => {
      const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
      const retention = async () => {
        const told = await admin.describeConfigs({
          resources: [{ ...resource, configNames: ['retention.ms'] }], includeSynonyms: false
        })
        return told.resources[0].configEntries[0].configValue
      }
      const alter = value => admin.alterConfigs({
        resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value }] }]
      })
      expectEqual(await retention(), '-1', 'retention.ms as created')
      await alter('86400000')
      await waitFor(async () => await retention() === '86400000', 'retention.ms altered')
      await expectError(/config/i, 'a bad value', () => alter('soon'))
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '40' }] })
      expectEqual(await this.offsetAt(topic, 0, 'earliest'), 40, 'first offset left')
      await admin.createPartitions({ topicPartitions: [{ topic, count: PARTITIONS + 2 }] })
      await waitFor(async () => {
        const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
        return topics[0].partitions.length === PARTITIONS + 2
      }, 'partitions after growing')
      await admin.deleteTopics({ topics: [topic] })
      await waitFor(async () => !(await admin.listTopics()).includes(topic), 'the topic is gone')
    })
  },

  async groupAdmin (group) {
    await this.administer(async admin => {
      const names = async () => (await admin.listGroups()).groups.map(g => g.groupId)
      expectEqual((await names()).includes(group), true, 'the group is listed')
      const told = await admin.describeGroups([group])
      expectEqual(told.groups[0].state, 'Empty', 'state')
      expectEqual(await this.committed(group, group, 4), [20, 20, 20, 20], 'offsets')
      await admin.setOffsets({
        groupId: group, topic: group, partitions: [{ partition: 0, offset: '7' }]
      })
      expectEqual(await this.committed(group, group, 1), [7], 'an offset that was changed')
      await admin.deleteGroups([group])
      expectEqual((await names()).includes(group), false, 'the group is listed')
    })
  }
}

main(client)
