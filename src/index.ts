/** The public door: what feature authors, operators' programs and the built-in actors use. */
export { defineActor } from './actor/behaviour.js';
export type {
  ActorContext,
  ActorEvent,
  Behaviour,
  EventHandler,
  MessageHandler,
  Send,
} from './actor/behaviour.js';
export {
  FeatureVector,
  type Completeness,
  type Features,
  type Repeats,
  type Row,
  type RowDraft,
  type Surge,
} from './actor/row.js';
export { GroundswellError, type ErrorCode } from './core/errors.js';
export { formatDuration, parseDurationMs } from './core/duration.js';
export { windowed, type ClosedWindow, type WindowedSpec } from './window/windowed.js';
export { addTally, copyTally, isZeroTally, TallyShape, type Tally } from './window/tally.js';
export { quantile, sketchOf, type Sketch } from './window/sketch.js';
export { LinearScorer, linearModelSchema, type FeatureRef, type LinearModel } from './model/linear.js';
export {
  openProducer,
  type DeliveryReport,
  type EventProducer,
  type ProducedEvent,
  type ProducerConfig,
  type ProducerStats,
  type Refused,
} from './producer.js';
export { ByteReader, ByteWriter } from './core/bytes.js';
export { geohash30Of, geohash30Text } from './core/geohash.js';
