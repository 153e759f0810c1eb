-- What the package does to an application's table, it does as the table's owner, each function one fixed thing:
--   touch_linked_<n>  has the guard fill rows anew: those of given objects, or those with given matching values
--   read_linked_<n>   reads the columns that are pushed, and the id
--   write_linked_<n>  writes the id that a creation brought
--   pull_linked_<n>   writes what Stripe says of pushed columns, into the rows of an object
--   list_linked_<n>   lists the linked columns of the rows of given objects
--   fill_linked_<n>   has the guard fill all rows, some at a time

-- A table that was renamed is found by its triggers until it is linked again; one that was dropped has no rows. Neither
-- may keep Stripe's events from being stored. Its oid is not written down: a restored database has others.
create or replace function payments_private.target_oid(p_link payments_private.linked_tables) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return format($sql$(
    select g.tgrelid from pg_catalog.pg_trigger g join pg_catalog.pg_proc p on p.oid = g.tgfoid
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'payments_private' and p.proname = 'check_linked_%s' and g.tgparentid = 0
     limit 1)$sql$, p_link.link_id);
end
$$;
comment on function payments_private.target_oid(payments_private.linked_tables) is
  'Returns the SQL that finds the oid of a linked table, whatever it is called now; null where it was dropped.';

create or replace function payments_private.columns_of_link(p_link payments_private.linked_tables) returns text[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select k from jsonb_object_keys(p_link.columns) k
     union select e.value from jsonb_each_text(p_link.push) e
     union select k::text from unnest(p_link.key_columns) k
     union select p_link.match_column::text where p_link.match_column is not null
     order by 1);
end
$$;
comment on function payments_private.columns_of_link(payments_private.linked_tables) is
  'Returns the columns of a table that a link is about: linked and pushed ones, the key, and the one that rows are matched by.';

-- A table may lose a column, too, or call it otherwise. Its own statements say so from then on, and so does the doctor;
-- events go on without the link.
create or replace function payments_private.lost_condition(p_link payments_private.linked_tables) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_columns text[] := payments_private.columns_of_link(p_link);
begin
  return format($sql$(
    select count(*) from pg_catalog.pg_attribute a
     where a.attrelid = %s and a.attname = any (%L) and a.attnum > 0 and not a.attisdropped) < %s$sql$,
    payments_private.target_oid(p_link), v_columns, cardinality(v_columns));
end
$$;
comment on function payments_private.lost_condition(payments_private.linked_tables) is
  'Returns the SQL of whether a linked table, or one of the columns that the link is about, is gone or has another name.';

create or replace function payments_private.touch_body(p_link payments_private.linked_tables) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_type text;
begin
  select format_type(a.atttypid, null) into v_type
    from pg_catalog.pg_attribute a where a.attrelid = p_link.target and a.attname = p_link.match_column;
  return format($body$
declare
  v_text  text;
  v_value %3$s;
  v_all   %3$s[] := '{}';
  v_count integer;
begin
  if $2 then
    update %1$s t set %2$I = t.%2$I where t.%2$I = any ($1);
  else
    foreach v_text in array $1 loop
      begin
        v_value := v_text;
        if v_value::text = v_text then
          v_all := array_append(v_all, v_value);
        end if;
      exception
        when data_exception then null;  -- written so, it is no value of this column
      end;
    end loop;
    update %1$s t set %2$I = t.%2$I where t.%4$I = any (v_all);
  end if;
  get diagnostics v_count = row_count;
  return v_count;
exception
  when undefined_table or invalid_schema_name or undefined_column then
    if %6$s then
      return 0;
    elsif sqlstate = '42703' then  -- of a trigger of the application's
      raise;
    end if;
    if $2 then
      execute format('update %%s t set %2$I = t.%2$I where t.%2$I = any ($1)', %5$s::regclass) using $1;
    else
      execute format('update %%s t set %2$I = t.%2$I where t.%4$I = any ($1)', %5$s::regclass) using v_all;
    end if;
    get diagnostics v_count = row_count;
    return v_count;
end
$body$, p_link.target::text, p_link.id_column, coalesce(v_type, 'text'),
    coalesce(p_link.match_column, p_link.id_column), payments_private.target_oid(p_link),
    payments_private.lost_condition(p_link));
end
$$;
comment on function payments_private.touch_body(payments_private.linked_tables) is 'Returns the body of touch_linked_<n>(values text[], by_id boolean).';

create or replace function payments_private.key_condition(p_link payments_private.linked_tables) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select format('(%s) = (select %s from jsonb_populate_record(null::%s, $1) k)',
             string_agg(format('t.%I', c), ', ' order by place), string_agg(format('k.%I', c), ', ' order by place),
             p_link.target::text)
      from unnest(p_link.key_columns) with ordinality u (c, place));
end
$$;
comment on function payments_private.key_condition(payments_private.linked_tables) is 'Returns the SQL that finds a row by its primary key, given as jsonb in $1.';

create or replace function payments_private.fill_body(p_link payments_private.linked_tables) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_keys  text := (select string_agg(format('t.%I', c), ', ' order by place)
                     from unnest(p_link.key_columns) with ordinality u (c, place));
  v_after text := (select string_agg(format('k.%I', c), ', ' order by place)
                     from unnest(p_link.key_columns) with ordinality u (c, place));
begin
  return format($body$
declare
  v_last jsonb;
begin
  perform pg_catalog.set_config('payments.filling', 'on', true);  -- nobody is told of each of many rows
  with batch as (
    select t.* from %1$s t
     where $1 is null or (%2$s) > (select %3$s from jsonb_populate_record(null::%1$s, $1) k)
     order by %2$s
     limit $2
  ), filled as (
    update %1$s t set %4$I = t.%4$I from batch k
     where (%2$s) = (%3$s) and %5$s
  )
  select to_jsonb(k) into v_last from batch k order by (%3$s) desc limit 1;
  perform pg_catalog.set_config('payments.filling', '', true);
  return v_last;
end
$body$, p_link.target::text, v_keys, v_after, p_link.id_column,
    case p_link.found_by when 'id' then format('t.%I is not null', p_link.id_column)
      else format('t.%I is not null', p_link.match_column) end);
end
$$;
comment on function payments_private.fill_body(payments_private.linked_tables) is
  'Returns the body of fill_linked_<n>(after jsonb, max_rows integer), which fills rows in the order of their key and returns the last one, null at the end.';

create or replace function payments_private.owners_function(
  p_link payments_private.linked_tables, p_what text, p_arguments text, p_returns text, p_body text
) returns text[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_name text := format('payments_private.%s_linked_%s(%s)', p_what, p_link.link_id, p_arguments);
begin
  return array[
    format('create or replace function %s returns %s language plpgsql volatile security definer '
             'set search_path = pg_catalog, pg_temp%s as %L',
      v_name, p_returns, case p_what when 'read' then ' set timezone = utc' end, p_body),
    format('revoke all on function %s from public', v_name),
    format('grant execute on function %s to payments_owner', v_name),
    format('comment on function %s is %L', v_name,
           format('Generated: %ss rows of %s for payments_owner.', p_what, p_link.target::text))];
end
$$;
comment on function payments_private.owners_function(payments_private.linked_tables, text, text, text, text) is
  'Returns the statements that make one function of a link that belongs to the table''s owner.';

create or replace function payments_private.json_of_columns(p_columns text[]) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return 'jsonb_build_object(' || (select string_agg(format('%L, t.%I', c, c), ', ' order by c)
                                     from unnest(p_columns) c) || ')';
end
$$;
comment on function payments_private.json_of_columns(text[]) is 'Returns the SQL that makes an object of columns of t.';

-- Statements that are no part of storing an event: they find the table by its oid, so that a renamed one is found.
create or replace function payments_private.by_oid(p_link payments_private.linked_tables, p_statement text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return format('replace(%L, %L, %s::regclass::text)', replace(p_statement, p_link.target::text, '@table@'),
                '@table@', payments_private.target_oid(p_link));
end
$$;
comment on function payments_private.by_oid(payments_private.linked_tables, text) is
  'Returns the SQL of a text: a statement on a linked table, with the name that the table has when it is executed.';

create or replace function payments_private.link_functions(
  p_link payments_private.linked_tables, out what text, out arguments text, out returned text, out body text
) returns setof record
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_table     text := p_link.target::text;
  v_condition text := payments_private.key_condition(p_link);
  v_columns   text[] := array(select p_link.id_column::text union select e.value from jsonb_each_text(p_link.push) e);
  v_written   text := (select string_agg(format('%I', c), ', ' order by c) from unnest(v_columns) c);
  v_read      text := (select string_agg(format('r.%I', c), ', ' order by c) from unnest(v_columns) c);
begin
  return query values
    ('touch', 'text[], boolean', 'integer', payments_private.touch_body(p_link)),
    ('fill', 'jsonb, integer', 'jsonb', payments_private.fill_body(p_link)),
    ('read', 'jsonb', 'jsonb', format($body$
declare
  v_row jsonb;
begin
  execute %s into v_row using $1;
  return v_row;
end
$body$, payments_private.by_oid(p_link, format('select to_jsonb(r) from (select %s from %s t where %s) r',
      (select string_agg(format('t.%I', c), ', ' order by c) from unnest(v_columns) c), v_table, v_condition)))),
    ('list', 'text[]', 'table (key jsonb, content jsonb)', format($body$
begin
  if not %s then
    return query execute %s using $1;
  end if;
end
$body$, payments_private.lost_condition(p_link), payments_private.by_oid(p_link, format(
      'select %s, %s from %s t where t.%I = any ($1)',
      payments_private.json_of_columns(p_link.key_columns::text[]),
      payments_private.json_of_columns(array(select jsonb_object_keys(p_link.columns))), v_table,
      p_link.id_column)))),
    ('write', 'jsonb, jsonb', 'integer', format($body$
declare
  v_count integer;
begin
  execute %s using $1, $2;
  get diagnostics v_count = row_count;
  return v_count;
end
$body$, payments_private.by_oid(p_link, format(
      'update %s t set (%s) = (select %s from jsonb_populate_record(t, $2) r) where %s', v_table, v_written, v_read,
      v_condition)))),
    ('pull', 'text, jsonb', 'void', format($body$
begin
  if not %s then
    execute %s using $1, $2;
  end if;
end
$body$, payments_private.lost_condition(p_link), payments_private.by_oid(p_link, format(
      'update %s t set (%s) = (select %s from jsonb_populate_record(t, $2) r) where t.%I = $1', v_table, v_written,
      v_read, p_link.id_column))));
end
$$;
comment on function payments_private.link_functions(payments_private.linked_tables) is
  'Returns the functions of a link that belong to the table''s owner: <what>_linked_<n> with its arguments, what it returns, and its body.';

create or replace function payments_private.owners_functions(p_link payments_private.linked_tables) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select s.statement
      from payments_private.link_functions(p_link) with ordinality f (what, arguments, returned, body, place)
      cross join lateral unnest(payments_private.owners_function(p_link, f.what, f.arguments, f.returned, f.body))
        with ordinality s (statement, place)
     order by f.place, s.place);
end
$$;
comment on function payments_private.owners_functions(payments_private.linked_tables) is
  'Returns the statements that make the functions of a link that belong to the table''s owner.';

create or replace function payments_private.link_function_pattern(p_link payments_private.linked_tables) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return format('^(touch|fill|read|write|pull|list)_linked_%s$', p_link.link_id);
end
$$;
comment on function payments_private.link_function_pattern(payments_private.linked_tables) is
  'Returns the pattern of the names of a link''s functions that belong to the table''s owner.';
