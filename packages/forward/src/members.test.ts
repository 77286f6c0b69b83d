import { expect, it } from 'vitest';
import { Members } from './members.js';

it('are those that have not left, in the order in which they came; leaving twice counts once', () => {
  const members = new Members<string>();
  const [first, second, , last] = ['first', 'second', 'third', 'last'].map((name) => members.add(name));
  for (const leave of [second, second, last]) leave?.();
  expect([[...members], members.size]).toEqual([['first', 'third'], 2]);
  members.add('new');
  first?.();
  expect([[...members], members.size]).toEqual([['third', 'new'], 2]);
});

it('may leave while they are gone through', () => {
  const members = new Members<() => void>();
  const leave: (() => void)[] = [];
  for (let i = 0; i < 3; i++) leave.push(members.add(() => leave[i]?.()));
  for (const member of members) member();
  expect(members.size).toBe(0);
});
