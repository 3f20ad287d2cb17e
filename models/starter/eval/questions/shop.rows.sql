-- Changes to made-up rows (ids from 1) after which every question finds some rows and leaves out others.
-- Names are different from each other, so that grouping by a name or by its key is the same.
UPDATE customers SET full_name = full_name || ' ' || id;
UPDATE categories SET name = CASE WHEN id <= 8 THEN (ARRAY['Books', 'Games', 'Music', 'Garden', 'Toys', 'Sports', 'Kitchen', 'Office'])[id] ELSE 'Category ' || id END;
UPDATE suppliers SET company = company || ' ' || id, country = CASE WHEN id % 4 = 0 THEN 'Germany' ELSE country END;
UPDATE products SET title = title || ' ' || id, category_id = 1 + id % 8;
UPDATE warehouses SET label = 'Warehouse ' || id;
UPDATE stock_levels SET quantity = quantity * 100;
UPDATE orders SET customer_id = 1 + (id * 7) % 20 WHERE id % 2 = 0;
UPDATE orders SET placed_at = LOCALTIMESTAMP - id * INTERVAL '17 hours' WHERE id % 3 = 0;
UPDATE payments SET method = (ARRAY['card', 'transfer', 'wallet', 'cash'])[1 + id % 4];
