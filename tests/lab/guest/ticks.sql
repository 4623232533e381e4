CREATE DATABASE stillpoint_demo;
CREATE TABLE stillpoint_demo.ticks (
  id BIGINT UNSIGNED PRIMARY KEY,
  created_at DATETIME(6) NOT NULL,
  payload VARBINARY(255) NOT NULL
) ENGINE=InnoDB;

-- A steady stream of rows 1, 2, 3 …, each its own transaction, so that what a backup holds proves itself: ids without
-- a gap up to the last one committed before the lock, and none after it.
DELIMITER //
CREATE PROCEDURE stillpoint_demo.tick(IN per_second DOUBLE) SQL SECURITY INVOKER
BEGIN
  DECLARE next_id BIGINT UNSIGNED;
  SELECT COALESCE(MAX(id), 0) + 1 INTO next_id FROM stillpoint_demo.ticks;
  LOOP
    INSERT INTO stillpoint_demo.ticks VALUES (next_id, NOW(6), REPEAT(CHAR(65 + next_id % 26), 200));
    SET next_id = next_id + 1;
    DO SLEEP(1 / per_second);
  END LOOP;
END//
DELIMITER ;
