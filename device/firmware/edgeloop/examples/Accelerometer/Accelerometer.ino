/*
 * Accelerometer: an MPU-6050 sends its three axes to edgeloop, 100 times a second, as frames.
 *
 * Any Arduino at 115200 baud. The MPU-6050 (often sold as GY-521) is read over I2C:
 *
 *     VCC -> 5V or 3V3      GND -> GND      SCL -> SCL (A5 on an Uno)      SDA -> SDA (A4 on an Uno)
 *
 * A reading that fails is sent as missing values.
 */
#include <Wire.h>
#include <edgeloop.h>

const uint8_t SENSOR = 0x68;
const uint8_t REGISTER_POWER = 0x6b;
const uint8_t REGISTER_AXES = 0x3b;  // six bytes: x, y, z, high byte first

const unsigned int ROWS_PER_SECOND = 100;
const unsigned long ROW_US = 1000000UL / ROWS_PER_SECOND;

// After reset the sensor counts 16384 to the g.
const edgeloop_column COLUMNS[] = {
    {"ax", "g", 1.0f / 16384},
    {"ay", "g", 1.0f / 16384},
    {"az", "g", 1.0f / 16384},
};
const edgeloop_session SESSION = {
    ROWS_PER_SECOND,  COLUMNS, 3,
    NULL,             0,  // no classes: edgeloop learns from rows that somebody else labels
    EDGELOOP_FRAMES,      // or EDGELOOP_CSV, EDGELOOP_PLOTTER
    EDGELOOP_INT16 | EDGELOOP_TIME,
    4,  // decimals of lines
};

Edgeloop board;
unsigned long rowStartUs;

bool readAxes(int16_t *counts) {
  Wire.beginTransmission(SENSOR);
  Wire.write(REGISTER_AXES);
  if (Wire.endTransmission(false) != 0) return false;
  if (Wire.requestFrom(SENSOR, (uint8_t)6) != 6) return false;
  for (uint8_t axis = 0; axis < 3; axis++) {
    const uint8_t high = Wire.read();
    const uint8_t low = Wire.read();
    counts[axis] = (int16_t)((uint16_t)high << 8 | low);
    if (counts[axis] == EDGELOOP_MISSING) counts[axis] += 1;  // full scale, not a missing value
  }
  return true;
}

void setup() {
  Serial.begin(115200);
  Wire.begin();
  Wire.setClock(400000);
  Wire.beginTransmission(SENSOR);
  Wire.write(REGISTER_POWER);
  Wire.write((uint8_t)0);  // it sleeps until told otherwise
  Wire.endTransmission();
  board.begin(Serial, SESSION);
  rowStartUs = micros();
}

void loop() {
  // Differences of micros() are right even when it wraps (71 min).
  if (micros() - rowStartUs < ROW_US) return;
  rowStartUs += ROW_US;

  int16_t counts[3];
  if (!readAxes(counts)) counts[0] = counts[1] = counts[2] = EDGELOOP_MISSING;
  board.send(counts);
}
