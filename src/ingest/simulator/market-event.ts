/**
 * What the simulated city tells the world: the plain events of the engine's input, nothing added. Owns their exact shape
 * and key order, since the same options must give the same bytes.
 */
export type Status = 'open' | 'enroute' | 'ontrip' | 'offline';

export interface DriverLocationEvent {
  type: 'driver.location';
  driverId: string;
  /** degrees, five decimals (about a metre), as in every event here */
  lat: number;
  lon: number;
  /** integer ms UTC */
  ts: number;
  status: Status;
}

export interface SessionOpenedEvent {
  type: 'session.opened';
  riderId: string;
  lat: number;
  lon: number;
  ts: number;
}

export interface RideRequestedEvent {
  type: 'ride.requested';
  rideId: string;
  riderId: string;
  lat: number;
  lon: number;
  ts: number;
}

/** The position is the rider's: where the ride began, and for `ride.completed` where it ended. */
export interface RideProgressEvent {
  type: 'ride.accepted' | 'ride.picked_up' | 'ride.completed' | 'ride.cancelled';
  rideId: string;
  riderId: string;
  /** Absent only in a cancellation before any driver accepted. */
  driverId?: string;
  lat: number;
  lon: number;
  ts: number;
}

export type MarketEvent = DriverLocationEvent | SessionOpenedEvent | RideRequestedEvent | RideProgressEvent;
