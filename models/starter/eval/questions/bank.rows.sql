-- Changes to made-up rows (ids from 1) after which every question finds some rows and leaves out others.
-- Names are different from each other, so that grouping by a name or by its key is the same.
UPDATE branches SET name = 'Branch ' || id, city = (ARRAY['Munich', 'Berlin', 'Hamburg', 'Vienna'])[1 + id % 4];
UPDATE employees SET full_name = full_name || ' ' || id, salary = 3000 + salary * 4, position = (ARRAY['teller', 'adviser', 'manager', 'analyst'])[1 + id % 4];
UPDATE employees SET manager_id = NULL WHERE id % 10 = 1;
UPDATE clients SET full_name = full_name || ' ' || id, branch_id = 1 + id % 30;
UPDATE accounts SET client_id = 1 + id % 40;
UPDATE accounts SET closed_on = CASE WHEN id % 3 = 0 THEN opened_on + 100 END;
UPDATE transactions SET merchant = (ARRAY['Market', 'Railway', 'Cinema', 'Bakery', 'Fuel', 'Florist'])[1 + id % 6], channel = (ARRAY['online', 'branch', 'machine'])[1 + id % 3];
UPDATE transactions SET booked_at = LOCALTIMESTAMP - id * INTERVAL '17 hours' WHERE id % 2 = 0;
UPDATE loans SET rate_percent = 2 + rate_percent * 8;
UPDATE loan_payments SET paid_on = CASE WHEN id % 3 <> 0 THEN due_on END;
UPDATE loan_payments SET due_on = CURRENT_DATE + id::int WHERE id % 5 = 0;
