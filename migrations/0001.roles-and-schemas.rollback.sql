-- The roles stay: other databases of the cluster may use them.
set local role payments_owner;
alter default privileges grant execute on functions to public;
drop schema payments_private cascade;
drop schema payments cascade;
reset role;
