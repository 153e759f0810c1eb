-- What payments.doctor() finds.
set local role payments_owner;

create type payments_private.finding as (topic text, environment text, level text, finding text, next_step text);
comment on type payments_private.finding is 'One finding of payments.doctor(): see there.';

reset role;
