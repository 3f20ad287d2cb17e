CREATE TABLE customers (
  id bigserial PRIMARY KEY,
  full_name text NOT NULL,
  email text NOT NULL UNIQUE,
  city text,
  country text NOT NULL,
  created_at timestamp NOT NULL,
  newsletter boolean NOT NULL DEFAULT false
);
CREATE TABLE categories (id serial PRIMARY KEY, name text NOT NULL, parent_id int REFERENCES categories);
CREATE TABLE suppliers (id serial PRIMARY KEY, company text NOT NULL, country text NOT NULL, rating int CHECK (rating BETWEEN 1 AND 5));
CREATE TABLE products (
  id bigserial PRIMARY KEY,
  title text NOT NULL,
  category_id int NOT NULL REFERENCES categories,
  supplier_id int REFERENCES suppliers,
  price numeric(10, 2) NOT NULL CHECK (price >= 0),
  weight_grams int,
  discontinued boolean NOT NULL DEFAULT false
);
CREATE TABLE warehouses (id serial PRIMARY KEY, label text NOT NULL, city text NOT NULL);
CREATE TABLE stock_levels (
  warehouse_id int NOT NULL REFERENCES warehouses,
  product_id bigint NOT NULL REFERENCES products,
  quantity int NOT NULL,
  PRIMARY KEY (warehouse_id, product_id)
);
CREATE TABLE orders (
  id bigserial PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES customers,
  placed_at timestamp NOT NULL,
  status text NOT NULL CHECK (status IN ('new', 'paid', 'shipped', 'cancelled')),
  coupon_code text
);
CREATE TABLE order_items (
  order_id bigint NOT NULL REFERENCES orders,
  product_id bigint NOT NULL REFERENCES products,
  quantity int NOT NULL CHECK (quantity > 0),
  unit_price numeric(10, 2) NOT NULL,
  PRIMARY KEY (order_id, product_id)
);
CREATE TABLE payments (id bigserial PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders, method text NOT NULL, amount numeric(10, 2) NOT NULL, paid_at timestamp NOT NULL);
CREATE TABLE reviews (id bigserial PRIMARY KEY, product_id bigint NOT NULL REFERENCES products, customer_id bigint NOT NULL REFERENCES customers, stars int NOT NULL CHECK (stars BETWEEN 1 AND 5), written_at timestamp NOT NULL);
