const express = require('express');

const books = new Map([['1', { id: '1', title: 'The Soul of a New Machine' }]]);
const app = express();
app.use(express.json());

app.get('/', (_req, res) => res.send('try /books'));
app.get('/books', (_req, res) => res.json([...books.values()]));
app.get('/books/:id', (req, res) => {
  const book = books.get(req.params.id);
  if (book === undefined) return res.status(404).json({ error: 'no such book' });
  res.json(book);
});
app.post('/books', (req, res) => {
  const book = { id: String(books.size + 1), title: String(req.body?.title ?? '') };
  books.set(book.id, book);
  res.status(201).location(`books/${book.id}`).json(book);
});

module.exports = app;
