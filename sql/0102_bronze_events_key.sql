-- For the history of one key ("where is my row?"). A hash: keys are compared for equality alone, and their texts may be long.
create index if not exists events_key on bronze.events using hash (key);
