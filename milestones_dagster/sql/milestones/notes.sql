/*
about: >
  What a reader must know about this result: as of when it is, which source holds it back, what was missing and what stood in for it.
grain: one row per note
key: [position]
columns:
  position: INTEGER NOT NULL -- Order of the note.
  topic: VARCHAR NOT NULL -- What it is about, such as `as of`, `watermark`, `retention`, `seats`.
  note: VARCHAR NOT NULL -- The note, one sentence.
*/
SELECT n.position, n.topic, n.note
FROM run.notes AS n
