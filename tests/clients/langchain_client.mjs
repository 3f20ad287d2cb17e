// LangChain's client, with all that n8n's model nodes let people set.
import assert from 'node:assert/strict'
import { ChatOllama, Ollama, OllamaEmbeddings } from '@langchain/ollama'
import { AIMessage, HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages'

const node = {
  baseUrl: process.env.OLLAMA_HOST,
  model: 'parrot:latest',
  headers: { Authorization: 'Bearer ' },
  keepAlive: '5m',
  temperature: 0.7,
  topK: -1,
  topP: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  repeatPenalty: 1,
  lowVram: false,
  mainGpu: 0,
  numBatch: 512,
  numCtx: 2048,
  numGpu: -1,
  numPredict: -1,
  numThread: 0,
  penalizeNewline: true,
  useMlock: false,
  useMmap: true,
  vocabOnly: false,
  maxRetries: 0,
}

const chat = new ChatOllama(node)
const said = await chat.invoke([new SystemMessage('Be brief. '), new HumanMessage('<|hello|>')])
assert.equal(said.content, 'Hello there!')
assert.ok(said.usage_metadata.input_tokens > 0 && said.usage_metadata.output_tokens > 0)
assert.equal(said.response_metadata.done_reason, 'stop')

let text = ''
for await (const part of await chat.stream('<|emoji|>')) text += part.content
assert.equal(text, '🎉 done')

const weather = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'Tells the weather',
    parameters: { type: 'object', properties: { location: { type: 'string' } }, required: ['location'] },
  },
}
const agent = chat.bindTools([weather])
const question = new HumanMessage('<|tool|>')
const called = await agent.invoke([question])
assert.deepEqual(called.tool_calls.map(({ name, args }) => ({ name, args })), [{ name: 'weather', args: { location: 'Paris' } }])
const result = new ToolMessage({ content: 'sun <|hello|>', name: 'weather', tool_call_id: called.tool_calls[0].id ?? '1' })
const told = await agent.invoke([question, called, result])
assert.equal(told.content, 'Hello there!')
assert.ok(told instanceof AIMessage)

const form = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] }
const formed = await chat.withStructuredOutput(form).invoke('<|json|>')
assert.equal(typeof formed.a, 'number')

assert.equal(await new Ollama(node).invoke('<|hello|>'), 'Hello there!')
const vectors = new OllamaEmbeddings({ baseUrl: node.baseUrl, model: 'vectors' })
const made = await vectors.embedDocuments(['the sky', 'blue'])
assert.equal(made.length, 2)
assert.ok(made[0].length > 0 && made[0].length === (await vectors.embedQuery('sky')).length)

await assert.rejects(new ChatOllama({ ...node, model: 'nobody' }).invoke('x'), /not found/)
console.log('langchain ok')
