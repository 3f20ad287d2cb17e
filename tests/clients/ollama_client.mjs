// The official JavaScript client.
import assert from 'node:assert/strict'
import { Ollama } from 'ollama'

const client = new Ollama({ host: process.env.OLLAMA_HOST })
const user = (content) => [{ role: 'user', content }]

const version = await client.version?.()
if (version) assert.match(version.version, /^\d+\.\d+\.\d+/)

const whole = await client.generate({ model: 'parrot', prompt: '<|hello|>' })
assert.equal(whole.response, 'Hello there!')
assert.equal(whole.done_reason, 'stop')

let text = ''
for await (const part of await client.chat({ model: 'parrot', messages: user('<|emoji|>'), stream: true })) {
  text += part.message.content
}
assert.equal(text, '🎉 done')

const tools = [{ type: 'function', function: { name: 'weather', description: 'd', parameters: { type: 'object', properties: {} } } }]
const called = await client.chat({ model: 'parrot', messages: user('<|tool|>'), tools })
assert.deepEqual(called.message.tool_calls[0].function.arguments, { location: 'Paris' })

const thought = await client.chat({ model: 'thinker', messages: user('<|think|>'), think: true })
assert.equal(thought.message.thinking, 'Capital of Japan')
assert.equal(thought.message.content, 'Tokyo')

const made = await client.embed({ model: 'vectors', input: ['the sky', 'blue'] })
assert.equal(made.embeddings.length, 2)

await client.create({ model: 'child', from: 'parrot', system: 'be brief' })
const steps = []
for await (const step of await client.create({ model: 'child', from: 'parrot', stream: true })) steps.push(step.status)
assert.equal(steps.at(-1), 'success')
const shown = await client.show({ model: 'child' })
assert.ok(shown.capabilities.includes('completion'))
await client.copy({ source: 'child', destination: 'copied' })
await client.delete({ model: 'copied' })
const names = (await client.list()).models.map((model) => model.name)
assert.ok(names.includes('child:latest') && !names.includes('copied:latest'))
assert.ok((await client.ps()).models.length > 0)

// A client that leaves in the middle.
const endless = await client.generate({ model: 'parrot', prompt: '<|story|>', stream: true, options: { num_predict: 2000 } })
await assert.rejects(async () => {
  for await (const part of endless) if (part.response) endless.abort()
})

await assert.rejects(client.show({ model: 'nobody' }), /not found/)
console.log('ollama ok')
