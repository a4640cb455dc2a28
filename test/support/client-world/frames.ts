import {
  bytesToRelayMessage,
  bytesToReplicaMessage,
  defaultLimits,
  FrameJoiner,
  type LinkMemory,
  type Message,
  messageToBytes,
  messageToFrames,
  type RelayMessage,
  type ReplicaMessage,
} from '@mangrove/protocol';

/** What a frame from the relay says, where it is one whole message. `heard`: what all frames before it told. */
export function messageFromRelay(frame: Uint8Array, heard: LinkMemory): RelayMessage {
  return bytesToRelayMessage(new FrameJoiner(defaultLimits).add(frame) as Uint8Array, heard);
}

export function frameOf(message: Message): Uint8Array {
  return messageToFrames(messageToBytes(message), defaultLimits)[0] as Uint8Array;
}

/** What a frame to the relay says, where it is one whole message. `told`: what all frames before it told. */
export function messageToRelay(frame: Uint8Array, told: LinkMemory): ReplicaMessage {
  return bytesToReplicaMessage(new FrameJoiner(defaultLimits).add(frame) as Uint8Array, told);
}
