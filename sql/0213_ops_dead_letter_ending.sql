-- How a letter goes on: which redrive took it last, and what ended it. The states and what leads from one to the next stand in
-- shared/events/dead-letter.ts. Letters that are open or under way must be found without reading those that ended long ago.
alter table ops.dead_letter
  add column if not exists published_at timestamptz,
  add column if not exists job bigint,
  add column if not exists reason text,
  add column if not exists replaced_by text,
  add column if not exists ended_at timestamptz;

alter table ops.dead_letter drop constraint if exists known_state;
alter table ops.dead_letter add constraint known_state check (state in ('open', 'redriven', 'resolved', 'discarded'));

alter table ops.dead_letter drop constraint if exists discarded_for_a_reason;
alter table ops.dead_letter add constraint discarded_for_a_reason check (state <> 'discarded' or coalesce(reason, '') <> '');

create index if not exists dead_letter_unsettled on ops.dead_letter (id) where state in ('open', 'redriven');

-- A topic that was made anew gives its places out again: another event in the same place is another letter. Hashed, since a stranger's id may be too long for an index.
alter table ops.dead_letter drop constraint if exists dead_letter_consumer_topic_partition_offset_key;
create unique index if not exists dead_letter_record on ops.dead_letter (consumer, topic, "partition", "offset", hashtextextended(event_id, 0));
