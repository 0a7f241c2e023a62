// The app under test: a todo list. Three events, one table.

import { Events, makeSchema, Schema, State } from '@livestore/livestore'

const todos = State.SQLite.table({
  name: 'todos',
  columns: {
    id: State.SQLite.text({ primaryKey: true }),
    text: State.SQLite.text({ default: '' }),
    completed: State.SQLite.boolean({ default: false }),
  },
})

export const events = {
  todoCreated: Events.synced({
    name: 'v1.TodoCreated',
    schema: Schema.Struct({ id: Schema.String, text: Schema.String }),
  }),
  todoCompleted: Events.synced({
    name: 'v1.TodoCompleted',
    schema: Schema.Struct({ id: Schema.String }),
  }),
  todoRenamed: Events.synced({
    name: 'v1.TodoRenamed',
    schema: Schema.Struct({ id: Schema.String, text: Schema.String }),
  }),
}

// A plain insert: an event that is applied twice breaks the primary key and with it the client,
// so that no scenario can pass with a repeated event.
const materializers = State.SQLite.materializers(events, {
  'v1.TodoCreated': ({ id, text }) => todos.insert({ id, text, completed: false }),
  'v1.TodoCompleted': ({ id }) => todos.update({ completed: true }).where({ id }),
  'v1.TodoRenamed': ({ id, text }) => todos.update({ text }).where({ id }),
})

export const schema = makeSchema({
  events,
  state: State.SQLite.makeState({ tables: { todos }, materializers }),
})

// In the order in which the log has them: rowids follow the order of the inserts.
export const todosInLogOrder = {
  query: 'SELECT id, text, completed FROM todos ORDER BY rowid',
  bindValues: {},
}
