-- Changes to made-up rows (ids from 1) after which every question finds some rows and leaves out others.
-- Names are different from each other, so that grouping by a name or by its key is the same.
UPDATE departments SET floor = 1 + id % 5, name = CASE WHEN id <= 6 THEN (ARRAY['Surgery', 'Cardiology', 'Neurology', 'Pediatrics', 'Radiology', 'Oncology'])[id] ELSE 'Department ' || id END;
UPDATE doctors SET full_name = full_name || ' ' || id, department_id = 1 + id % 6, specialty = (ARRAY['cardiology', 'surgery', 'neurology', 'pediatrics'])[1 + id % 4];
UPDATE insurers SET name = 'Insurer ' || id;
UPDATE patients SET full_name = full_name || ' ' || id, insurer_id = CASE WHEN id % 7 <> 0 THEN 1 + id % 9 END;
UPDATE rooms SET number = 'R' || id, department_id = 1 + id % 6, beds = 1 + id % 4;
UPDATE appointments SET patient_id = 1 + id % 12 WHERE id % 2 = 0;
UPDATE appointments SET starts_at = CURRENT_DATE + (id % 24) * INTERVAL '1 hour' WHERE id % 20 = 0;
UPDATE diagnoses SET severity = 1 + id % 5;
UPDATE medications SET name = 'Medication ' || id;
-- Three of one, five of the next and so on: no two are prescribed equally often.
UPDATE prescriptions SET medication_id = 1 + floor(sqrt(id));
UPDATE lab_tests SET kind = (ARRAY['blood', 'urine', 'x-ray', 'tissue'])[1 + id % 4];
