select afluente.capture_table('public.leads');
select afluente.capture_table('public.chat_sessions');
